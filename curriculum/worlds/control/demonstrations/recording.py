"""Recorded episodes, before they are compared with an environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from perdure.budget.errors import DataError


@dataclass(frozen=True)
class Recording:
    """One episode of T steps, as a file has it.

    Attributes:
        place: the file and the episode, for messages.
        observations: arrays of T rows or more, in dictionaries and tuples as the environment's space has them.
        actions: T actions.
        rewards: of each step, shape (T,); `None`: the file has none.
        success: whether each step succeeded, shape (T,), or one value; `None`: the file does not say.
    """

    place: str
    observations: Any
    actions: NDArray[Any]
    rewards: NDArray[np.float64] | None = None
    success: NDArray[np.bool_] | bool | None = None


def at(observations: Any, step: int) -> Any:
    """The observation of one step."""
    if isinstance(observations, Mapping):
        return {name: at(one, step) for name, one in observations.items()}
    if isinstance(observations, tuple):
        return tuple(at(one, step) for one in observations)
    return observations[step]


def rows(observations: Any) -> int:
    """How many observations there are: the fewest of any part."""
    if isinstance(observations, Mapping):
        return min((rows(one) for one in observations.values()), default=0)
    if isinstance(observations, tuple):
        return min(map(rows, observations), default=0)
    return len(observations)


def chosen(columns: Mapping[str, Any], wanted: Sequence[str] | None, space: Any, place: str) -> Any:
    """The columns that make up the observation, as the space has them.

    Several columns become one vector a step. A space of named parts takes the columns of these names.

    Raises:
        DataError: a column is not there, or there are several and none is named.
    """
    has = ", ".join(map(repr, columns)) or "none"
    if wanted is None and isinstance(space, spaces.Dict):
        missing = [name for name in space.spaces if name not in columns]
        if missing:
            raise DataError(f"{place}: the environment shows {missing[0]!r}, and the file's observations are {has}")
        return {name: columns[name] for name in space.spaces}
    if wanted is None and len(columns) != 1:
        raise DataError(f"{place}: its observations are {has}; name those that make up the environment's, in order "
                        "(`demonstrations.observation: [NAME, …]`)")  # fmt: skip
    names = list(columns) if wanted is None else [name.removeprefix("observation.") for name in wanted]
    missing = [name for name in names if name not in columns]
    if missing:
        raise DataError(f"{place}: it has no observation {missing[0]!r}; it has {has}")
    if len(names) == 1:
        return columns[names[0]]
    return np.concatenate([np.reshape(columns[name], (len(columns[name]), -1)) for name in names], axis=1)
