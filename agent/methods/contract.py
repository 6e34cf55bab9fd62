"""What passes between an update method and the life that runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


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


class SaveAndStop(Exception):  # noqa: N818  (not an error: how a user's Ctrl-C reaches the trainer)
    """Raised by `watch`: write a checkpoint of this very step, then let the exception go on up."""
