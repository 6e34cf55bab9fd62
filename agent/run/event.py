"""An event of a journal, whatever its kind, and when it was made."""

import time
from dataclasses import dataclass, field, replace
from typing import Self


def _now() -> float:
    return round(time.time(), 3)


def _clock() -> float:
    return round(time.monotonic(), 3)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run, when it is made. Events are equal whatever their times."""

    time: float = field(default_factory=_now, compare=False)
    clock: float | None = field(default_factory=_clock, compare=False)

    def seconds_since(self, before: "Event") -> float:
        """Seconds from an earlier event of the same process, never negative: the time of day may be set back."""
        if self.clock is not None and before.clock is not None:
            return max(self.clock - before.clock, 0.0)
        return max(self.time - before.time, 0.0)

    def now(self) -> Self:
        """The same, as if it happened now."""
        return replace(self, time=_now(), clock=_clock())


@dataclass(frozen=True, kw_only=True)
class StageEvent(Event):
    """Something that happened in a stage."""

    stage: int
