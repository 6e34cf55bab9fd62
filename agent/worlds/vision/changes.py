"""What modifiers change of an update, whatever its objective is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from perdure.agent.worlds.vision.draws import Draws
from perdure.agent.worlds.vision.lesson import Lesson, Term
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.optimizers import Optimizer, WholeWeights
from perdure.agent.worlds.vision.schedule import Plan
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.contract import Method

MakeOptimizer = Callable[[Params, Sequence[Plan], Draws], Optimizer]


def whole_weights(stacked: Params, plans: Sequence[Plan], draws: Draws) -> Optimizer:
    """The optimiser of all weights."""
    return WholeWeights(stacked, plans)


@dataclass(frozen=True)
class Changes:
    """What the objective learns from, what is added to its loss, and what steps.

    `replay_ratio` is the share of a batch that the lesson's replayed images have.
    """

    lesson: Lesson
    terms: tuple[Term, ...] = ()
    optimizer: MakeOptimizer = whole_weights
    replay_ratio: float = 0.0


class Modifier(Protocol):
    """The module of a modifier."""

    modify: Callable[[Method, Any, Params, Changes], Changes]
    """The changes with its own, by the modifier's settings and the stack as the stage begins with it."""


def changes_of(method: Method, settings: MethodSettings, stacked: Params, lesson: Lesson) -> Changes:
    """The changes of all modifiers of a method."""
    changes = Changes(lesson)
    for spec in method.modifiers:
        module: Modifier = import_module(spec.code)
        changes = module.modify(method, settings.modifiers[spec.name], stacked, changes)
    return changes
