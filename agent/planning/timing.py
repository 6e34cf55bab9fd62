"""A few steps of a method on a fork of the policy, which is thrown away: what a step takes, and what it writes."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from perdure.agent.trial import forked
from perdure.agent.worlds.contract import Progress, SaveAndStop, UpdateJob, Watch, World
from perdure.agent.worlds.registry import plugin_of
from perdure.curriculum.schema import Curriculum

STEPS = 4
"""Steps of a trial; the first is not timed, since it warms everything up."""

SECONDS = 10.0
"""A trial ends sooner once it took so long and two steps are made."""


@dataclass(frozen=True)
class Timing:
    """The measurements of a short trial of a method.

    Attributes:
        steps: that the whole stage would have.
        made: steps that were made.
        seconds_a_step: of training alone, without the first step, unless it is the only one of the stage.
        setup_seconds: from the call to the first step, such as sampling that a method does once; without imports.
        checkpoint_bytes: of a checkpoint inside the stage; 0 where the method keeps none.
    """

    steps: int
    made: int
    seconds_a_step: float
    setup_seconds: float
    checkpoint_bytes: int


def time_method(curriculum: Curriculum, world: World, make: Callable[[Watch], UpdateJob], folder: Path) -> Timing:
    """Train for a few steps, then put the policy back as it was. `folder` is the trial's own and removed afterwards.

    `make` makes the job of a watch, which ends the update.

    Raises:
        PerdureError: the method cannot learn the task with these settings.
    """
    watch = Stopwatch()
    plugin_of(curriculum.world).import_method(make(watch).method)  # takes seconds, once a run and not once a stage
    with forked(world, folder):
        watch = Stopwatch()
        with suppress(SaveAndStop):
            world.update(make(watch))
        checkpoint_bytes = size_of(folder / "checkpoints")
    return watch.timing(checkpoint_bytes)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder; 0 where there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


class Stopwatch:
    """Watches an update and ends it as a user's Ctrl-C would, so that it leaves a checkpoint.

    However slow the first step is, a second one is made, since the first cannot be told from the set-up before it.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._begun = clock, clock()
        self._times: list[float] = []
        self._steps = 1

    def __call__(self, progress: Progress) -> bool:
        self._times.append(self._clock())
        self._steps = progress.max_steps
        made, took = len(self._times), self._times[-1] - self._begun
        if made >= STEPS or (made >= 2 and took > SECONDS):
            raise SaveAndStop
        return False

    def timing(self, checkpoint_bytes: int) -> Timing:
        """The measurements; of a stage of one step the set-up is part of it."""
        first, *rest = self._times or [self._clock()]
        a_step = (rest[-1] - first) / len(rest) if rest else first - self._begun
        setup = max(0.0, first - self._begun - a_step)
        return Timing(self._steps, len(self._times), a_step, setup, checkpoint_bytes)
