"""Success in Meta-World by geometry alone, as `evaluate_state` of the stock environments (3.1.1) has it.

A task that is not in the table is asked `evaluate_state`, which also computes a reward and takes longer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Success = Callable[[Any, NDArray[np.float64]], bool]
"""True in the environment's present state, with the object there; metres."""


def _within(radius: float) -> Success:
    """The object is near its target."""
    return lambda environment, object_3: bool(np.linalg.norm(object_3 - environment._target_pos) <= radius)


def _along(axis: int, distance: float) -> Success:
    """The object is near its target along one axis."""
    return lambda environment, object_3: bool(abs(environment._target_pos[axis] - object_3[axis]) <= distance)


def _reached(environment: Any, object_3: NDArray[np.float64]) -> bool:
    """The middle of the fingers is near the target."""
    return bool(np.linalg.norm(environment.tcp_center - environment._target_pos) <= 0.05)


SUCCESS: dict[str, Success] = {
    "button-press-topdown-v3": _along(2, 0.024),
    "button-press-v3": _along(1, 0.02),
    "drawer-close-v3": _within(0.05 + 0.015),
    "drawer-open-v3": _within(0.03),
    "pick-place-v3": _within(0.07),
    "push-v3": _within(0.05),
    "reach-v3": _reached,
    "window-open-v3": _along(0, 0.05),
}
