"""The contract of a tracker: it opens one tracked run and is told records of it, in a process of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Status = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True)
class LoggedTable:
    """A table of texts and numbers; `None` where there is no figure."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]

    @property
    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: str | float | None) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else value.replace("|", "\\|")


@dataclass(frozen=True)
class Record:
    """What one event or one optimiser step comes to.

    Attributes:
        step: optimiser step of the whole run: the steps of all stages before, and those of this one.
        time: seconds since 1970.
        metrics: numbers by name; one may be NaN or infinite.
        notes: texts by name.
        tables: tables by name.
        event: the index of the event in the journal; `None`: the record is of a step.
        rewinds: later steps that were sent count no longer, and are sent again.
    """

    step: int
    time: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, LoggedTable] = field(default_factory=dict)
    event: int | None = None
    rewinds: bool = False


@dataclass(frozen=True)
class Opening:
    """What a tracked run is opened with.

    Attributes:
        options: the section of the curriculum, without `type`.
        folder: `tracking` in the run's folder.
        name: that of the run's folder.
        group: the sweep's name, of a cell.
        config: the curriculum, the versions and the base.
        known: the tracker's id of the run, of one that is taken up again.
        step: the last step of all that was sent.
    """

    options: Mapping[str, Any]
    folder: Path
    name: str
    group: str | None
    config: Mapping[str, Any]
    known: str | None = None
    step: int = -1


class TrackedRun(Protocol):
    """One run at a tracker. Any call may raise anything, or hang: the process is then given up."""

    @property
    def id(self) -> str:
        """What opens it again: `Opening.known`."""
        ...

    def log(self, record: Record) -> None: ...

    def rewind(self, step: int) -> None:
        """Hide what was sent of steps after `step`, where the library can."""
        ...

    def flush(self) -> None:
        """Hand on what the library holds back, where it can be asked to."""
        ...

    def close(self, status: Status) -> None: ...


Open = Callable[[Opening], TrackedRun]


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested maps and lists by dotted path: `stages.0.name`."""
    if isinstance(value, Mapping):
        inner: Sequence[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list | tuple):
        inner = list(enumerate(value))
    else:
        return {path: value}
    return {
        key: leaf for name, one in inner for key, leaf in flat(one, f"{path}.{name}" if path else str(name)).items()
    }
