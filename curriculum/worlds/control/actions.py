"""Actions as whole numbers, one a dimension, so that every action has a distribution (Brohan et al., arXiv 2212.06817).

Axes: N decisions, D dimensions of the action.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import shorten


class NoActionError(Exception):
    """A choice that is no action; the message says why. The episode fails at that decision."""


@dataclass(frozen=True)
class Actions:
    """The values that each dimension can have.

    Attributes:
        sizes: how many each dimension has.
        values: of a continuous action, the values of each dimension, shape (D, bins); `None`: whole numbers.
        space: the environment's own.
    """

    sizes: tuple[int, ...]
    values: NDArray[np.float64] | None
    space: Any

    def decode(self, chosen_D: NDArray[np.int64]) -> Any:
        """The action of the environment that is chosen by an index a dimension."""
        if isinstance(self.space, spaces.Discrete):
            return int(chosen_D[0]) + int(self.space.start)
        if self.values is None:
            return (np.asarray(chosen_D) + self.firsts).astype(self.space.dtype).reshape(self.space.shape)
        picked_D = self.values[np.arange(len(self.sizes)), chosen_D]
        return picked_D.astype(self.space.dtype).reshape(self.space.shape)

    def encode(self, action: Any) -> NDArray[np.int64]:
        """The indices of the values nearest to an action, the lower of two as near: shape (D,).

        Raises:
            ValueError: it has another shape or is not finite; whole numbers that the space does not have.
        """
        flat_D = np.asarray(action).ravel()
        if flat_D.dtype.kind not in "biuf":
            raise ValueError(f"an action of {self.space} is numbers, not {shorten(repr(action))}")
        if len(flat_D) != len(self.sizes):
            raise ValueError(f"an action of {self.space} has {len(self.sizes)} numbers, not {len(flat_D)}")
        if not np.isfinite(flat_D).all():
            raise ValueError(f"an action of {self.space} has a number that is not finite")
        if self.values is not None:
            nearest_D: NDArray[np.int64] = np.abs(self.values - flat_D[:, None].astype(np.float64)).argmin(1)
            return nearest_D
        chosen_D: NDArray[np.int64] = flat_D.astype(np.int64) - self.firsts
        if (flat_D != flat_D.astype(np.int64)).any() or (chosen_D < 0).any() or (chosen_D >= self.sizes).any():
            raise ValueError(f"{shorten(str(action))} is no action of {self.space}")
        return chosen_D

    def outside(self, action: Any) -> float:
        """How far a continuous action lies outside of its bounds, as a share of their distance; else 0."""
        if not isinstance(self.space, spaces.Box):
            return 0.0
        low, high = self.space.low.astype(np.float64), self.space.high.astype(np.float64)
        beyond = np.maximum(low - action, np.asarray(action, np.float64) - high)
        return float((beyond / (high - low)).max(initial=0.0))

    @property
    def firsts(self) -> NDArray[np.int64]:
        """The least whole number of each dimension; 0 of a continuous one."""
        return np.asarray(getattr(self.space, "start", 0), np.int64).ravel()

    def random(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Random actions, shape (count, D)."""
        return rng.integers(0, np.array(self.sizes), (count, len(self.sizes)))


def actions_of(space: Any, bins: int, where: str) -> Actions:
    """The actions of a space; a continuous dimension gets `bins` values, evenly spaced, both ends included.

    Raises:
        ConfigError: the space cannot be discretised.
    """
    if isinstance(space, spaces.Discrete):
        return Actions((int(space.n),), None, space)
    if isinstance(space, spaces.MultiDiscrete):
        return Actions(tuple(map(int, space.nvec.ravel())), None, space)
    if isinstance(space, spaces.MultiBinary):
        return Actions((2,) * int(np.prod(space.shape)), None, space)
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f" or not space.shape:
        raise ConfigError(
            f"{where}: its action space is {space}; actions are Discrete, MultiDiscrete, MultiBinary or a Box of "
            "floating-point numbers. Make it one of these by a wrapper of your own (`wrappers`)"
        )
    low_D, high_D = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
    if not (np.isfinite(low_D).all() and np.isfinite(high_D).all() and (low_D < high_D).all()):
        raise ConfigError(
            f"{where}: its action space is {space}; {bins} values are chosen between the bounds of each dimension, "
            "which must be finite and apart. Give it bounds by a wrapper of your own (`wrappers`)"
        )
    return Actions((bins,) * len(low_D), np.linspace(low_D, high_D, bins, axis=1), space)
