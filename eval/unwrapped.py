"""The causal model inside a policy's model."""

from typing import Any


def unwrapped(model: Any) -> Any:
    """The causal model itself; a LoRA adapter stays active inside it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
