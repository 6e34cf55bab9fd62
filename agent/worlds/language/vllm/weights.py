"""The weights of a policy as a server of the base's architecture takes them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from perdure.eval.unwrapped import unwrapped

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

    for name, layer in inner.named_modules():
        if isinstance(layer, LoraLayer):
            weight = _whole(layer.get_base_layer())
            delta = sum(layer.get_delta_weight(adapter).float() for adapter in layer.active_adapters)
            yield f"{name}.weight", (weight.float() + delta).to(weight.dtype)
        elif type(getattr(layer, "weight", None)).__name__ in PACKED and not name.endswith(".base_layer"):
            yield f"{name}.weight", _whole(layer)


def _whole(layer: Any) -> Tensor:
    """The weight of a layer, dequantized; peft's function for layers replaces the layer's own on a CPU."""
    from peft.utils.integrations import dequantize_bnb_weight

    is_packed = type(layer.weight).__name__ in PACKED
    found: Tensor = dequantize_bnb_weight(layer.weight, getattr(layer, "state", None)) if is_packed else layer.weight
    return found
