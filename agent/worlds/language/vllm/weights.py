"""The weights of a policy as a server of the base's architecture takes them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from perdure.agent.worlds.language.generation import unwrapped

PACKED = ("Params4bit", "Int8Params")
"""The weights of bitsandbytes' layers."""


@torch.no_grad()
def served_weights(model: Any) -> dict[str, Tensor]:
    """All weights by the names of the model without an adapter, tied ones once.

    An adapter is added to copies: merging in place and taking it out again would round the base. A quantized base is
    dequantized.
    """
    inner = unwrapped(model)
    if not hasattr(model, "peft_config"):
        return {name: weight.detach() for name, weight in inner.named_parameters()}
    merged = dict(_merged(inner))
    plain = {
        name.replace(".base_layer.", "."): weight.detach()
        for name, weight in inner.named_parameters()
        if "lora_" not in name
    }
    return plain | merged


def _merged(inner: Any) -> Iterator[tuple[str, Tensor]]:
    """Each weight that is adapted or quantized, by its name."""
    from peft.tuners.lora import LoraLayer
    from peft.utils.integrations import dequantize_module_weight

    for name, layer in inner.named_modules():
        if isinstance(layer, LoraLayer):
            weight = dequantize_module_weight(layer.get_base_layer())
            delta = sum(layer.get_delta_weight(adapter).float() for adapter in layer.active_adapters)
            yield f"{name}.weight", (weight.float() + delta).to(weight.dtype)
        elif type(getattr(layer, "weight", None)).__name__ in PACKED and not name.endswith(".base_layer"):
            yield f"{name}.weight", dequantize_module_weight(layer)
