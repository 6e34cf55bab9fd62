"""The monitor at work in one stage: it measures, keeps the last good state, and ends the update."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from perdure.agent.enforcement.good_state import GoodState
from perdure.agent.life import Life
from perdure.agent.run.events import Intervened, Measured
from perdure.agent.run.kept import has_policy
from perdure.agent.run.stages import restore_stage, run_again
from perdure.agent.run.steps import StepRecord
from perdure.agent.worlds.contract import Progress, SaveAndStop, WeightsFile
from perdure.budget import ranks
from perdure.budget.errors import RunError
from perdure.budget.figures import format_pair
from perdure.budget.monitor import Action, Reading
from perdure.budget.penalty import Controller


class StageMonitor:
    """Holds one stage to its cap, the run's until `set_cap`, while it is updated; its end: `end_of_stage.py`.

    `folder` keeps what a killed update needs to go on, by default the stage's.
    """

    def __init__(self, life: Life, number: int, name: str, folder: Path | None = None) -> None:
        self.life, self.stage, self.name = life, number, name
        self.world, self.budget, self.logger = life.world, life.monitor, life.logger
        self.folder = folder or life.folder.partial_stage(number, name)
        before = sum(row.steps for row in life.logger.state.done if row.stage < number)
        self.record = StepRecord(self.folder, number, name, before)
        self.fault: str | None = None
        self.controller: Controller | None = None
        self._tasks = [task.name for task in life.tasks[:number]]
        self._cap = life.monitor.config.kl
        self._good = GoodState(self.folder)
        self._step = 0

    def set_cap(self, cap: float, controller: Controller | None = None) -> None:
        """From now on the stage's own cap holds, and every reading says the weight of the penalty."""
        self._cap, self.controller = cap, controller

    @property
    def penalty_weight(self) -> float | None:
        """The weight of the penalty now, where there is one."""
        return None if self.controller is None else self.controller.weight

    def start(self) -> Reading:
        """The reading before the first step."""
        stages = len(self.life.stages)
        self.logger.phase("deciding", stage=self.stage, name=self.name, stages=stages)
        return self.log_reading(self.measure(0), entry=True)

    def has_budget(self, entry: Reading) -> bool:
        """True if any budget remains; if not, the update does not begin."""
        if self.budget.demands(entry) is None:
            return True
        self.intervene("stop", f"no budget left at the start: {self.describe(entry)}", "no update", 0)
        return False

    def on_step(self, progress: Progress) -> bool:
        """After each step: see `ends`. True ends the update.

        Raises:
            SaveAndStop: the user asked to stop.
        """
        if self.ends(progress):
            return True
        if ranks.any_of(self.life.interrupt.requested):
            raise SaveAndStop
        return False

    def ends(self, progress: Progress) -> bool:
        """Record and show a step, measure when due, keep the good state; true if the update ends with it."""
        self._step = progress.step
        self.note(progress)
        self.fault = fault(progress)
        if self.fault is not None:
            return True
        if self.budget.due(progress.step):
            reading = self.log_reading(self.measure(progress.step))
            if self.budget.demands(reading) is not None:
                return True
            if self.budget.accepts(reading):
                self._good.keep(progress.step, self.world.trained)
        return False

    def note(self, progress: Progress) -> None:
        """Record a step and show it."""
        self.logger.step(self.record.add(progress.step, progress.figures), progress.max_steps)

    def saving(self) -> WeightsFile | None:
        """See `UpdateJob.saving`: the steps and the good state are on the disk.

        Raises:
            OSError: such as a full disk.
        """
        self.record.sync()
        return self._good.write(self._step)

    def states(self) -> Iterator[tuple[str, int, Callable[[], None]]]:
        """The states to go back to, latest first and the base last: a name, the step of this stage, and how."""
        step = self._good_step()
        if step is not None:
            yield f"step {step}", step, lambda: self._good.put_back(self.world.trained)
        gone = ranks.told(self._not_kept)
        for number in range(self.stage - 1, 0, -1):
            if number not in gone:
                yield f"the end of stage {number}", 0, lambda number=number: restore_stage(self.life, number)  # type: ignore[misc]
        kept = f", since the {passed_over(gone)} not kept" if gone else ""
        yield f"the base{kept}", 0, self.world.become_base

    def put_back(self) -> bool:
        """Make the policy the last good state of this stage; false, and it is as it was, where there is none."""
        if self._good_step() is None:
            return False
        self._good.put_back(self.world.trained)
        return True

    def _not_kept(self) -> list[int]:
        """The numbers of the stages before whose policies were not kept."""
        return [one for one in range(1, self.stage) if not has_policy(self.life.folder, self.life.curriculum, one)]

    def measure(self, step: int) -> Reading:
        """The KL of the policy as it is now."""
        return self.budget.read(step, self._tasks, self._cap)

    def log_reading(self, reading: Reading, *, entry: bool = False, final: bool = False) -> Reading:
        """Journal a reading."""
        self.logger.log(self.event_of(reading, entry=entry, final=final))
        return reading

    def event_of(self, reading: Reading, *, entry: bool = False, final: bool = False) -> Measured:
        """The event of a reading."""
        more = {"entry": entry, "final": final, "penalty_weight": self.penalty_weight}
        return Measured(stage=self.stage, **vars(reading) | more)

    def intervene(self, action: Action, reason: str, target: str, step: int, **figures: Any) -> None:
        """Journal an intervention."""
        about = figures | {"action": action, "reason": reason, "target": target, "step": step}
        self.logger.log(Intervened(stage=self.stage, **about))

    def describe(self, reading: Reading) -> str:
        """A reading above its cap, in words."""
        kl = reading.kl.value
        if not math.isfinite(kl):
            return f"the KL became {kl}"
        cap, shown, most = format_pair(reading.cap, kl, reading.upper_bound)
        bound = "" if reading.upper_bound == kl else f", at most {most},"
        return f"KL {shown}{bound} above the cap {cap} nats {self.life.curriculum.spec.nouns.per(reading.unit)}"

    def _good_step(self) -> int | None:
        """The step of the last good state of this stage; `None` where there is none.

        Raises:
            RunError: it is damaged.
        """
        try:
            return self._good.find()
        except ValueError as error:
            raise RunError(run_again(self.life.folder.path, self.stage, str(error))) from error


def passed_over(stages: Sequence[int]) -> str:
    """`policy of stage 1 was`, `policies of stages 1, 2 were`."""
    one = len(stages) == 1
    numbers = ", ".join(map(str, stages))
    return f"policy of stage {numbers} was" if one else f"policies of stages {numbers} were"


def fault(progress: Progress) -> str | None:
    """Why the update is broken, or nothing."""
    for what, value in (("loss", progress.loss), ("reward", progress.reward)):
        if value is not None and not math.isfinite(value):
            return f"the {what} became {value} at step {progress.step}"
    return None
