"""The product of hidden states and the output head, in float32 whatever the formats of the model are.

A product in bfloat16 keeps 8 bits of a logit, which alone reads as a KL of about 1e-3 nats a token. Axes: N positions,
H hidden, V vocabulary.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

CHUNK_ELEMENTS = 4_000_000
"""Logits held at once on each side on a CPU (16 MB in float32), whatever the vocabulary."""
CAST_ELEMENTS = 16_000_000
"""Weights cast to float32 at once (64 MB)."""
ROW_TENSORS = 16
"""Float32 numbers that a logit takes at most: both sides, their logarithms, products, and gradients."""
SHARE = 16
"""One of so many parts of the memory that is free beside the weights; most of the others hold a training step."""


def logits(hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None = None) -> Tensor:
    """(N, V) in float32; other weights are cast some rows at a time."""
    with torch.autocast(hidden_NH.device.type, enabled=False):
        hidden_NH = hidden_NH.float()
        if weight_VH.dtype == torch.float32:
            return nn.functional.linear(hidden_NH, weight_VH, bias_V)
        words = max(1, CAST_ELEMENTS // weight_VH.shape[1])
        parts = [nn.functional.linear(hidden_NH, part.float()) for part in torch.split(weight_VH, words)]
        product_NV = torch.cat(parts, dim=-1)
        return product_NV if bias_V is None else product_NV + bias_V.float()


@contextmanager
def float32_head(model: Any) -> Iterator[None]:
    """The head of a causal model gives `logits` inside, for models that scale or cap them in their own forward pass.

    Of a head with an adapter the layer below it does.
    """
    head: Any = model.get_output_embeddings()
    head = getattr(head, "base_layer", head)
    with _forward_of(head) if isinstance(head, nn.Linear) else nullcontext():
        yield


@contextmanager
def _forward_of(head: Any) -> Iterator[None]:
    own = vars(head).get("forward")
    head.forward = lambda states: logits(states, head.weight, head.bias)
    try:
        yield
    finally:
        del head.forward
        if own is not None:
            head.forward = own


def rows_at_once(rows: int, vocabulary: int, free: int | None) -> int:
    """The rows whose logits are held at once, at least 1; `free`: bytes of a GPU's memory, `None` for a CPU.

    A power of two on a GPU, so that a little more or less memory changes no figure.
    """
    least = max(1, CHUNK_ELEMENTS // vocabulary)
    if free is None:
        return least
    room = free // (SHARE * ROW_TENSORS * torch.float32.itemsize * vocabulary)
    return max(least, min(1 << max(room, 1).bit_length() - 1, rows))


def free_memory(device: torch.device) -> int | None:
    """The bytes of a GPU that nothing holds; `None` for any other device."""
    if device.type != "cuda":
        return None
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + cached
