"""The monitor at work in one stage: it reads, remembers the last good state, ends the update, and pulls it back."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from perdure.agent.chronicle import Chronicle
from perdure.agent.folder import read_json, write_json
from perdure.agent.methods.contract import Progress, SaveAndStop
from perdure.agent.world import World
from perdure.budget.errors import ModelError
from perdure.budget.monitor import Monitor, Reading

State = tuple[str, Callable[[], None]]
"""A state to go back to: what to call it, and how to get there."""


class Guard:
    """Holds one stage within the budget.

    `earlier` yields the states before the stage, latest first and the base last; the base's KL is zero up to rounding,
    so going back ends there.
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
        self._world, self._monitor, self._chronicle = world, monitor, chronicle
        self._stage, self._tasks, self._folder = stage, tasks, folder
        self._earlier, self._interrupted = earlier, interrupted
        self._fault: str | None = None

    def enter(self) -> Reading:
        """The reading before the first step."""
        return self._write(self._measure(0), entry=True)

    def may_begin(self, entry: Reading) -> bool:
        """Whether any budget is left to spend; if not, the update is not begun."""
        if self._monitor.demands(entry) is None:
            return True
        self._tell("stop", f"no budget left at the start: {_describe(entry)}", "no update", 0)
        return False

    def watch(self, progress: Progress) -> bool:
        """After each step: show it, read when due, keep the good state. True ends the update.

        Raises:
            SaveAndStop: the user asked to stop.
        """
        self._chronicle.step(progress.step, progress.max_steps, progress.loss, progress.reward)
        self._fault = _fault(progress)
        if self._fault is not None:
            return True
        if self._monitor.due(progress.step):
            reading = self._write(self._measure(progress.step))
            if self._monitor.demands(reading) is not None:
                return True
            self._keep(progress.step)
        if self._interrupted():
            raise SaveAndStop
        return False

    def settle(self, step: int, *, ended_early: bool) -> Reading:
        """The reading that the stage ends with, after going back if the budget or a fault demands it."""
        reading = self._measure(step)
        demand = "broken" if self._fault else self._monitor.demands(reading)
        if demand in ("rollback", "broken"):
            self._write(reading)
            return self._go_back(demand, self._fault or _describe(reading), step)
        if demand == "stop" and ended_early and step:
            self._tell("stop", _describe(reading), f"step {step}", step)
        return self._write(reading, final=True)

    def _go_back(self, demand: str, why: str, step: int) -> Reading:
        """To the first state that the budget accepts; those that it does not are passed over and not journaled."""
        for name, earlier_step, restore in self._states():
            restore()
            reading = self._measure(earlier_step)
            if self._monitor.demands(reading) in (None, "stop"):
                self._tell(demand, why, name, step)
                return self._write(reading, final=True)
        raise ModelError(
            f"even the base is not within the budget ({_describe(reading)}): its own KL is zero only up to rounding. "
            "Use a larger budget.kl or model.dtype: float32"
        )

    def _states(self) -> Iterator[tuple[str, int, Callable[[], None]]]:
        if self._good.exists():
            step = int(read_json(self._good.with_suffix(".json"))["step"])
            yield f"step {step}", step, lambda: self._world.restore_snapshot(self._good)
        for name, restore in self._earlier():
            yield name, 0, restore

    def _keep(self, step: int) -> None:
        self._world.snapshot(self._good)
        write_json(self._good.with_suffix(".json"), {"step": step})

    @property
    def _good(self) -> Path:
        return self._folder / "good.safetensors"

    def _measure(self, step: int) -> Reading:
        return self._monitor.read(step, self._tasks)

    def _write(self, reading: Reading, *, entry: bool = False, final: bool = False) -> Reading:
        fields = asdict(reading) | {"within": reading.within, "entry": entry, "final": final}
        self._chronicle.tell("reading", stage=self._stage, **fields)
        return reading

    def _tell(self, action: str, reason: str, target: str, step: int) -> None:
        self._chronicle.tell("intervention", stage=self._stage, step=step, action=action, reason=reason, target=target)


def _describe(reading: Reading) -> str:
    kl = reading.kl.value
    if not math.isfinite(kl):
        return f"the KL became {kl}"
    return f"KL {kl:.3f} above the cap {reading.cap:g} nats a {reading.unit}"


def _fault(progress: Progress) -> str | None:
    """Why the update is broken, or nothing."""
    for what, value in (("loss", progress.loss), ("reward", progress.reward)):
        if value is not None and not math.isfinite(value):
            return f"the {what} became {value} at step {progress.step}"
    return None
