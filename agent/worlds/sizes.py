"""The sizes of a policy's tensors."""

from collections.abc import Sequence
from typing import Any

from perdure.curriculum.worlds.methods import Sizes

FLOAT32 = 4
"""Bytes of a float32."""
FEWEST = 4096
"""Weights of a tensor from which on 8-bit optimisers keep its moments in 8 bits (bitsandbytes, torchao)."""


def sizes_of(
    weights: Sequence[Any],
    trained: Sequence[Any],
    matrices: Sequence[Any],
    *,
    held: bool,
    has_base: bool,
    tables: Sequence[Any] = (),
) -> Sizes:
    """The sizes of tensors.

    `held`: a copy of all weights is kept as the base; `has_base` as in `Sizes`; `tables` are those of embeddings.
    """
    total, exact = _bytes(weights), {id(one) for one in tables}
    return Sizes(
        weights=total,
        trained=_bytes(trained),
        matrices=_bytes(matrices),
        per_rank=sum(sum(one.shape[-2:]) for one in matrices) * FLOAT32,
        element=trained[0].element_size(),
        held=total if held else 0,
        has_base=has_base,
        exact_moments=_bytes([one for one in trained if id(one) in exact or one.numel() < FEWEST]),
    )


def _bytes(tensors: Sequence[Any]) -> int:
    return sum(one.numel() * one.element_size() for one in tensors)
