"""The changes that modifiers make to an update of any objective."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.optimizers import Optimizer, WholeWeights
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.task_tensors import LossTerm, TaskTensors
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.methods import Method

MakeOptimizer = Callable[[Params, Sequence[Plan], Rngs], Optimizer]


def whole_weights(stacked: Params, plans: Sequence[Plan], rngs: Rngs) -> Optimizer:
    """The optimiser that trains every weight."""
    return WholeWeights(stacked, plans)


@dataclass(frozen=True)
class Changes:
    """The tensors that the objective learns from, the terms added to its loss, and its optimiser.

    `replay_ratio` is the share of a batch that the tensors's replayed images have.
    """

    tensors: TaskTensors
    terms: tuple[LossTerm, ...] = ()
    optimizer: MakeOptimizer = whole_weights
    replay_ratio: float = 0.0


class Modifier(Protocol):
    """The module of a modifier."""

    modify: Callable[[Method, Any, Params, Changes], Changes]
    """The changes with its own, by the modifier's settings and the stack as the stage begins with it."""


def changes_of(method: Method, settings: MethodSettings, stacked: Params, tensors: TaskTensors) -> Changes:
    """The changes of all modifiers of a method."""
    changes = Changes(tensors)
    for spec in method.modifiers:
        module: Modifier = import_module(spec.code)
        changes = module.modify(method, settings.modifiers[spec.name], stacked, changes)
    return changes
