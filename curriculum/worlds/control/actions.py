"""Actions as whole numbers, one a dimension, so that every action has a distribution (Brohan et al., arXiv 2212.06817).

Axes: N decisions, D dimensions of the action.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError


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
            return np.asarray(chosen_D, self.space.dtype).reshape(self.space.shape)
        picked_D = self.values[np.arange(len(self.sizes)), chosen_D]
        return picked_D.astype(self.space.dtype).reshape(self.space.shape)

    def encode(self, action: Any) -> NDArray[np.int64]:
        """The indices of the values nearest to an action, the lower of two as near: shape (D,)."""
        if isinstance(self.space, spaces.Discrete):
            return np.array([int(action) - int(self.space.start)])
        flat_D = np.asarray(action).ravel()
        if self.values is None:
            return flat_D.astype(np.int64)
        nearest_D: NDArray[np.int64] = np.abs(self.values - flat_D[:, None].astype(np.float64)).argmin(1)
        return nearest_D


def actions_of(space: Any, bins: int, where: str) -> Actions:
    """The actions of a space; a continuous dimension gets `bins` values, evenly spaced, both ends included.

    Raises:
        ConfigError: the space cannot be discretised.
    """
    if isinstance(space, spaces.Discrete):
        return Actions((int(space.n),), None, space)
    if isinstance(space, spaces.MultiDiscrete) and not np.any(space.start):
        return Actions(tuple(map(int, space.nvec.ravel())), None, space)
    if isinstance(space, spaces.MultiBinary):
        return Actions((2,) * int(np.prod(space.shape)), None, space)
    if not isinstance(space, spaces.Box):
        raise ConfigError(f"{where}: its action space is {space}; actions are discrete or a box of numbers")
    low_D, high_D = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
    if not (np.isfinite(low_D).all() and np.isfinite(high_D).all() and (low_D < high_D).all()):
        raise ConfigError(
            f"{where}: its action space {space} has no finite bounds, so that there are no {bins} values to choose "
            "from; give it bounds by a wrapper (gymnasium.wrappers:RescaleAction)"
        )
    return Actions((bins,) * len(low_D), np.linspace(low_D, high_D, bins, axis=1), space)
