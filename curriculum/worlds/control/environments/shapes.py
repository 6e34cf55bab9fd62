"""Compares recorded observations with the space that they should be of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces


def unlike(space: Any, found: Any, what: str = "the observation") -> str | None:
    """How an observation differs from those of a space in shape or type; `None` if it does not."""
    if isinstance(space, spaces.Dict):
        has = sorted(found) if isinstance(found, Mapping) else _kind(found)
        if has != sorted(space.spaces):
            return f"{what} has the parts {sorted(space.spaces)} in the environment, and {has} in the recording"
        return _first(unlike(one, found[name], f"{what}, {name!r}") for name, one in space.spaces.items())
    if isinstance(space, spaces.Tuple):
        if not isinstance(found, tuple) or len(found) != len(space.spaces):
            return f"{what} has {len(space.spaces)} parts in the environment, and is {_kind(found)} in the recording"
        return _first(unlike(one, part, what) for one, part in zip(space.spaces, found, strict=True))
    fits = isinstance(found, str) if isinstance(space, spaces.Text) else _fits(space, np.asarray(found))
    return None if fits else f"{what} is {space} in the environment, and {_kind(found)} in the recording"


def _first(faults: Any) -> str | None:
    return next((one for one in faults if one is not None), None)


def _fits(space: Any, value: Any) -> bool:
    if value.shape != (space.shape or ()) or value.dtype.kind not in "biuf":
        return False
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        return bool(space.contains(value.astype(space.dtype) if value.shape else space.dtype.type(value)))
    pixels = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(value.shape) == 3
    return not pixels or value.dtype == np.uint8


def _kind(found: Any) -> str:
    value = np.asarray(found)
    if value.dtype.kind not in "biuf":
        return type(found).__name__
    return f"{value.dtype} of shape {value.shape}" if value.shape else str(found)
