"""Actions of the environment: a method and a share of the budget, each an index into a list."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import WorldSpec
from perdure.curriculum.worlds.learnable import facts_of, learnable_by
from perdure.curriculum.worlds.methods import MethodError

DEFAULT_METHODS: tuple[str, ...] = ("sft", "low_lr_sft", "sft_kl", "rl", "rl_kl", "chord", "tilt")
"""The methods that an action chooses among by default."""

DEFAULT_SHARES = (0.25, 0.5, 1.0)
"""The shares of the remaining budget that an action chooses among by default."""

Mask = tuple[NDArray[np.int8], NDArray[np.int8]]
"""The methods and shares that can be chosen, 1 or 0: the mask of `MultiDiscrete.sample`."""


def action_methods(methods: Sequence[str] | None, spec: WorldSpec) -> tuple[str, ...]:
    """The methods that an action chooses among; `None`: those of `DEFAULT_METHODS` that the world has.

    Raises:
        ConfigError: none, one twice, or one that the world does not have.
    """
    if methods is None:
        return tuple(method for method in DEFAULT_METHODS if method in spec.names)
    try:
        found = tuple(spec.method(name).name for name in methods)
    except MethodError as error:
        raise ConfigError(f"the {spec.name} world: {error}") from error
    if not found or len(set(found)) < len(found):
        raise ConfigError("`methods` must name at least one method, and none twice")
    return found


def action_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """The shares that an action chooses among.

    Raises:
        ConfigError: none, or one that is not above 0 and at most 1.
    """
    if not shares or not all(0 < share <= 1 for share in shares):
        raise ConfigError(f"`shares` must be at least one number above 0 and at most 1; got {list(shares)}")
    return tuple(map(float, shares))


def learnable_methods(methods: Sequence[str], task: Task, spec: WorldSpec) -> tuple[str, ...]:
    """The methods that can learn the task, in the same order.

    Raises:
        ConfigError: none can.
    """
    facts = facts_of(task)
    found = learnable_by(spec, facts, methods)
    if not found:
        others = " or ".join(learnable_by(spec, facts))
        raise ConfigError(f"task {task.name!r} can be learned by none of {', '.join(methods)}; add {others}")
    return found


def action_mask(methods: Sequence[str], learnable: Sequence[str], shares: int) -> Mask:
    """The mask of a stage; after the last stage (`learnable` is empty) everything may be chosen."""
    allowed = [method in learnable or not learnable for method in methods]
    return np.array(allowed, np.int8), np.ones(shares, np.int8)
