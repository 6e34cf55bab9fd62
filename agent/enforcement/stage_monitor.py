"""The monitor at work in one stage: it reads, remembers the last good state, and ends the update."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perdure.agent.run.folder import read_json, write_json
from perdure.agent.run.log import Chronicle
from perdure.agent.worlds.contract import Progress, SaveAndStop, World
from perdure.budget.figures import against
from perdure.budget.monitor import Monitor, Reading
from perdure.budget.penalty import Controller

State = tuple[str, Callable[[], None]]
"""A state to go back to: what to call it, and how to get there."""


class Guard:
    """Holds one stage to its cap while it is updated. What becomes of one that ends above it: `end_of_stage.py`.

    `earlier` yields the states before the stage, latest first and the base last. The cap is that of the life until
    `hold` says which is the stage's.
    """

    def __init__(
        self,
        world: World,
        monitor: Monitor,
        chronicle: Chronicle,
        *,
        stage: int,
        tasks: Sequence[str],
        folder: Path,
        earlier: Callable[[], Iterator[State]],
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.world, self.monitor, self.chronicle = world, monitor, chronicle
        self.stage, self.folder = stage, folder
        self.fault: str | None = None
        self.controller: Controller | None = None
        self._tasks, self._earlier, self._interrupted = tasks, earlier, interrupted
        self._cap = monitor.config.kl

    def hold(self, cap: float, controller: Controller | None = None) -> None:
        """From now on the stage's own cap holds, and every reading tells the weight of the penalty."""
        self._cap, self.controller = cap, controller

    def enter(self) -> Reading:
        """The reading before the first step."""
        return self.write(self.measure(0), entry=True)

    def may_begin(self, entry: Reading) -> bool:
        """Whether any budget is left to spend; if not, the update is not begun."""
        if self.monitor.demands(entry) is None:
            return True
        self.tell("stop", f"no budget left at the start: {describe(entry)}", "no update", 0)
        return False

    def watch(self, progress: Progress) -> bool:
        """After each step: show it, read when due, keep the good state. True ends the update.

        Raises:
            SaveAndStop: the user asked to stop.
        """
        self.chronicle.step(progress.step, progress.max_steps, progress.loss, progress.reward)
        self.fault = fault(progress)
        if self.fault is not None:
            return True
        if self.monitor.due(progress.step):
            reading = self.write(self.measure(progress.step))
            if self.monitor.demands(reading) is not None:
                return True
            if self.monitor.accepts(reading):
                self._keep(progress.step)
        if self._interrupted():
            raise SaveAndStop
        return False

    def states(self) -> Iterator[tuple[str, int, Callable[[], None]]]:
        """The states to go back to, latest first, each with the step of this stage at which it was."""
        if self._good.exists():
            step = int(read_json(self._good.with_suffix(".json"))["step"])
            yield f"step {step}", step, lambda: self.world.restore_snapshot(self._good)
        for name, restore in self._earlier():
            yield name, 0, restore

    def measure(self, step: int) -> Reading:
        """Read the KL of the policy as it is now."""
        return self.monitor.read(step, self._tasks, self._cap)

    def write(self, reading: Reading, *, entry: bool = False, final: bool = False) -> Reading:
        """Journal a reading."""
        weight = {} if self.controller is None else {"penalty_weight": self.controller.weight}
        self.chronicle.tell("reading", stage=self.stage, **reading_fields(reading, entry=entry, final=final), **weight)
        return reading

    def tell(self, action: str, reason: str, target: str, step: int, **figures: Any) -> None:
        """Journal an intervention."""
        about = {"step": step, "action": action, "reason": reason, "target": target}
        self.chronicle.tell("intervention", stage=self.stage, **about, **figures)

    def _keep(self, step: int) -> None:
        self.world.snapshot(self._good)
        write_json(self._good.with_suffix(".json"), {"step": step})

    @property
    def _good(self) -> Path:
        return self.folder / "good.safetensors"


def reading_fields(reading: Reading, *, entry: bool = False, final: bool = False) -> dict[str, Any]:
    """What the journal holds of a reading."""
    return asdict(reading) | {"within": reading.within, "entry": entry, "final": final}


def describe(reading: Reading) -> str:
    """A reading above its cap, in words."""
    kl = reading.kl.value
    if not math.isfinite(kl):
        return f"the KL became {kl}"
    cap, shown, most = against(reading.cap, kl, reading.bound)
    bound = "" if reading.bound == kl else f", at most {most},"
    return f"KL {shown}{bound} above the cap {cap} nats a {reading.unit}"


def fault(progress: Progress) -> str | None:
    """Why the update is broken, or nothing."""
    for what, value in (("loss", progress.loss), ("reward", progress.reward)):
        if value is not None and not math.isfinite(value):
            return f"the {what} became {value} at step {progress.step}"
    return None
