"""The sizes of a policy's tensors."""

from collections.abc import Sequence
from typing import Any

from perdure.curriculum.worlds.methods import Sizes

FLOAT32 = 4
"""Bytes of a float32."""


def sizes_of(
    weights: Sequence[Any], trained: Sequence[Any], matrices: Sequence[Any], *, held: bool, has_base: bool
) -> Sizes:
    """The sizes of tensors; `held`: a copy of all weights is kept as the base, `has_base` as in `Sizes`."""
    total = _bytes(weights)
    return Sizes(
        weights=total,
        trained=_bytes(trained),
        matrices=_bytes(matrices),
        per_rank=sum(sum(one.shape[-2:]) for one in matrices) * FLOAT32,
        element=trained[0].element_size(),
        held=total if held else 0,
        has_base=has_base,
    )


def _bytes(tensors: Sequence[Any]) -> int:
    return sum(one.numel() * one.element_size() for one in tensors)
