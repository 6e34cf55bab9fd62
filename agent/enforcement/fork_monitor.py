"""The monitor of a candidate in a race: it holds its fork of the policy to the stage's cap, and pauses it at a rung."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perdure.agent.enforcement.paused import Paused, write_paused
from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.life import Life
from perdure.agent.run.events import Measured
from perdure.agent.run.folder import read_json, write_json
from perdure.agent.run.lines import from_json, to_json
from perdure.agent.worlds.contract import Progress, SaveAndStop, WeightsFile
from perdure.budget import ranks
from perdure.budget.monitor import Reading

READINGS = "readings.json"
"""Inside the folder of a fork."""


@dataclass(frozen=True)
class Rung:
    """Where a candidate pauses: after so many steps, or so many more seconds. After `halfway` steps its KL is read.

    `number` counts from 1.
    """

    number: int
    steps: int | None = None
    seconds: float | None = None
    halfway: int = 0

    def is_reached(self, progress: Progress, seconds: float) -> bool:
        """True after a step from which the candidate does not go on; the stage's last step is the stage's own."""
        if progress.step >= progress.max_steps - 1:
            return True
        return progress.step >= self.steps if self.steps is not None else seconds >= (self.seconds or 0.0)


class ForkMonitor(StageMonitor):
    """As the stage's, but that readings wait in its folder until it is chosen, and a step is shown as a word alone.

    `paused` is the candidate at the rung, once it is there.
    """

    def __init__(
        self,
        life: Life,
        number: int,
        name: str,
        folder: Path,
        method: str,
        rung: Rung,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(life, number, name, folder)
        self._method, self._rung, self._clock = method, rung, clock
        self._readings, self._kl_midway = ranks.told(lambda: _read(folder / READINGS))
        self._begun = clock()
        self._first: int | None = None
        self._last, self._seconds = 0, 0.0
        self.paused: Paused | None = None

    def ends(self, progress: Progress) -> bool:
        """See `StageMonitor.ends`; at the rung the candidate is paused.

        Raises:
            SaveAndStop: it is reached.
        """
        ended = super().ends(progress)
        self._first, self._last = self._first or progress.step, progress.step
        if progress.step == self._rung.halfway and self.fault is None:
            self._kl_midway = self.measure(progress.step).kl.value
        self._seconds = self._clock() - self._begun
        if not ended and ranks.any_of(self._rung.is_reached(progress, self._seconds)):
            self.pause(ended=False)
            raise SaveAndStop
        return ended

    def pause(self, *, ended: bool) -> Paused:
        """Keep the candidate on the disk as it is to be measured."""
        paused = Paused(
            rung=self._rung.number,
            first=self._first or 1,
            steps=self._last,
            seconds=self._seconds,
            kl_midway=self._kl_midway,
            ended=ended,
            broken=self.fault is not None,
        )
        ranks.told(lambda: write_paused(self.folder, paused, self.world.trained))
        self.paused = paused
        return paused

    def note(self, progress: Progress) -> None:
        """See `StageMonitor.note`."""
        self.record.add(progress.step, progress.figures)
        detail = f"racing {self._method}: step {progress.step} of {progress.max_steps}"
        self.logger.phase("deciding", stage=self.stage, name=self.name, detail=detail)

    def log_reading(self, reading: Reading, *, entry: bool = False, final: bool = False) -> Reading:
        """Keep a reading until the candidate is chosen."""
        self._readings[reading.step] = self.event_of(reading, entry=entry, final=final)
        return reading

    def saving(self) -> WeightsFile | None:
        """See `StageMonitor.saving`."""
        self.save_readings()
        return super().saving()

    def save_readings(self) -> None:
        """Write the readings to the disk."""
        rows = [to_json(one) for one in self._readings.values()]
        ranks.told(lambda: write_json(self.folder / READINGS, {"readings": rows, "kl_midway": self._kl_midway}))


def readings_of(folder: Path) -> list[Measured]:
    """The readings of a fork, by step."""
    return [one for _, one in sorted(_read(folder / READINGS)[0].items())]


def _read(path: Path) -> tuple[dict[int, Measured], float | None]:
    if not path.exists():
        return {}, None
    found = read_json(path)
    events = [from_json(row) for row in found["readings"]]
    return {one.step: one for one in events if isinstance(one, Measured)}, found["kl_midway"]
