"""The tensors that a stack of models learns from, and the contract of an objective.

Axes: M models, N images of the task, B images of a step, F features, C classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from perdure.agent.run.events import Notice
from perdure.agent.worlds.contract import Counts
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.curriculum.settings import Common

Rows = Mapping[str, Tensor]
"""Tensors with a row an image, each of shape (M, N, …) or, gathered for a step, (M, B, …)."""


@dataclass(frozen=True)
class TaskTensors:
    """A task's training images, the same for all models of a stack, and the base's log-probabilities on them.

    All models of a stack began as the same base, so `base_log_1NC` has one model for all of them. `choices_NC` is the
    distribution from which the demonstrations' writer draws a label; `None` for the oracle, who draws from the base's
    own distribution over right answers, or where nobody `writes`.

    `earlier` are the tensors of the stages before, and `known_NF` the images that the base was pretrained on, for the
    modifiers that use them. The last `replayed` images belong to earlier tasks (see `methods/replay.py`).
    """

    inputs_NF: Tensor
    correct_NC: Tensor
    choices_NC: Tensor | None
    base_log_1NC: Tensor
    writes: bool = True
    earlier: tuple["TaskTensors", ...] = ()
    known_NF: Tensor | None = None
    replayed: int = 0

    def writer_1NC(self) -> Tensor:
        """The writer's distribution; q* ∝ π0·R, not normalised, for the oracle."""
        return self.base_log_1NC.exp() * self.correct_NC if self.choices_NC is None else self.choices_NC[None]


class Idle:
    """Counts samples or groups of them that taught an update nothing, by the name of the notice."""

    def __init__(self) -> None:
        self._found: dict[Notice, tuple[Tensor | int, int]] = {}

    def add(self, notice: Notice, idle_MB: Tensor) -> None:
        """Note the groups of a step, true where nothing was learned from one."""
        count, of = self._found.get(notice, (0, 0))
        self._found[notice] = count + idle_MB.sum(), of + idle_MB.numel()  # no waiting for the device

    @property
    def counts(self) -> Counts:
        """The counts of all models together, of which a run has one."""
        return {name: (int(count), of) for name, (count, of) in self._found.items()}


@dataclass(frozen=True)
class StepIndex:
    """The number of a step, from 0, and of all steps; `idle` counts over them."""

    step: int
    steps: int
    idle: Idle = field(default_factory=Idle)


LossTerm = Callable[[Params, int, Tensor, Rows], Tensor]
"""A term added to an objective's loss, a figure a model, (M,).

Its arguments: the stack in training, the step from 0, and what the objective's loss has, `log_MBC` and `rows`.
"""


class Objective(Protocol):
    """The module of an objective: these two functions."""

    def begin_pass(
        self,
        tensors: TaskTensors,
        settings: Common,
        rngs: Rngs,
        log_MNC: Callable[[], Tensor],
        before: Rows,
    ) -> Rows:
        """Draw what is drawn once a pass over the images, such as demonstrations; `before` is that of the last pass.

        `log_MNC()` computes the policy's log-probabilities on all images, as it is now.
        """
        ...

    def loss(
        self, log_MBC: Tensor, rows: Rows, settings: Common, rngs: Rngs, index: StepIndex
    ) -> tuple[Tensor, Tensor | None]:
        """The loss of each model, shape (M,), and the mean reward of what was sampled, if anything was.

        `rows` holds what `begin_pass` returned and `correct` and `base_log`, gathered for the images of this step.
        """
        ...
