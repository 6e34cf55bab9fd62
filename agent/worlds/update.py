"""What passes between an update method and the life that runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from perdure.budget.config import Unit
from perdure.budget.penalty import Controller
from perdure.curriculum.task import Task


@dataclass(frozen=True)
class Progress:
    """One optimiser step, just done. `loss` or `reward` may be NaN; `None` where the method has none."""

    step: int
    max_steps: int
    loss: float | None = None
    reward: float | None = None
    learning_rate: float | None = None


Watch = Callable[[Progress], bool]
"""Called after every optimiser step, with the policy's weights as they are then; true ends the update at once."""


@dataclass(frozen=True)
class Outcome:
    """How an update ended, and after how many optimiser steps."""

    steps: int
    ended: Literal["completed", "stopped"]


@dataclass(frozen=True)
class Beside:
    """What an update may use beside its task.

    Attributes:
        earlier: the tasks of the stages before, first to last.
        texts: the groups of texts of the base (see `base_prompts.py`) on which a KL term or a Fisher information
            is taken: never on the prompts that the monitor reads, which would then read too little. A task with fewer
            than twice `budget.num_prompts` items is halved for that, one with fewer than four is refused.
        unit: what the KL of such a term is counted in.
        controller: steers the weight of a KL term that is added to the method's loss; `None`: there is no such term. It
            is told the KL of every step's term, and its `weight` belongs to the state that a checkpoint keeps.
    """

    earlier: tuple[Task, ...] = ()
    texts: tuple[str, ...] = ()
    unit: Unit = "token"
    controller: Controller | None = None


ALONE = Beside()
"""The task and nothing else."""


class SaveAndStop(Exception):  # noqa: N818  (not an error: how a user's Ctrl-C reaches the trainer)
    """Raised by `watch`: write a checkpoint of this very step, then let the exception go on up."""
