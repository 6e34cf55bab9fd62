"""Sources of the language world's tasks: one module each."""
