"""Vision-language-action models: policies whose next tokens are an action."""
