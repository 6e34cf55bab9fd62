"""What an action of the environment means: a method and a share of the budget, each an index into a list."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import MethodError, WorldSpec
from perdure.curriculum.worlds.learnable import facts_of, learnable_by

DEFAULT: tuple[str, ...] = ("sft", "low_lr_sft", "sft_kl", "rl", "rl_kl", "chord", "tilt")
"""The methods among which an action chooses, where nothing else is said."""

SHARES = (0.25, 0.5, 1.0)
"""How much of what is left of the budget a stage may take, where nothing else is said."""

Mask = tuple[NDArray[np.int8], NDArray[np.int8]]
"""Which methods and which shares can be chosen, 1 or 0: what `MultiDiscrete.sample` takes."""


def methods_for(asked: Sequence[str] | None, spec: WorldSpec) -> tuple[str, ...]:
    """The methods among which an action chooses; without `asked`, those of `DEFAULT` that the world has.

    Raises:
        ConfigError: none, one twice, or one that the world does not have.
    """
    if asked is None:
        return tuple(method for method in DEFAULT if method in spec.names)
    try:
        methods = tuple(spec.method(name).name for name in asked)
    except MethodError as error:
        raise ConfigError(f"the {spec.name} world: {error}") from error
    if not methods or len(set(methods)) < len(methods):
        raise ConfigError("`methods` must name one method at least, and none twice")
    return methods


def shares_for(asked: Sequence[float]) -> tuple[float, ...]:
    """The shares among which an action chooses.

    Raises:
        ConfigError: none, or one that is not above 0 and at most 1.
    """
    if not asked or not all(0 < share <= 1 for share in asked):
        raise ConfigError(f"`shares` must be numbers above 0 and at most 1, one at least; got {list(asked)}")
    return tuple(map(float, asked))


def possible(methods: Sequence[str], task: Task, spec: WorldSpec) -> tuple[str, ...]:
    """Those of the methods that can learn the task, in the same order.

    Raises:
        ConfigError: none can.
    """
    facts = facts_of(task)
    found = learnable_by(spec, facts, methods)
    if not found:
        able = learnable_by(spec, facts)
        raise ConfigError(f"task {task.name!r} can be learned by none of {', '.join(methods)}; add {' or '.join(able)}")
    return found


def mask_of(methods: Sequence[str], able: Sequence[str], shares: int) -> Mask:
    """The mask of a stage; of a life that is over (`able` is empty), everything may be chosen."""
    allowed = [method in able or not able for method in methods]
    return np.array(allowed, np.int8), np.ones(shares, np.int8)
