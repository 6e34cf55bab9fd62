"""The faults of a curriculum with their places: one line each, all of a file in one error."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import Path, shorten, show_path


@dataclass(frozen=True)
class Place:
    """A file with line and column (from 1), or an override (`--set …`), which has none."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (shorten(self.source, 300), self.line, self.column) if part is not None)


@dataclass(frozen=True)
class Fault:
    """One fault: its place, its path in the curriculum, and the rule with what would be right."""

    place: Place
    path: Path
    message: str

    def __str__(self) -> str:
        place, path = str(self.place), show_path(self.path)
        dotted = re.sub(r"\[(\d+)\]", r".\1", path)
        said = place == f"--set {dotted}"
        return ": ".join(part for part in (place, "" if said else path, self.message) if part)


MAX_SHOWN = 20
"""Faults that a message shows."""


class CurriculumError(ConfigError):
    """Every fault of one curriculum, in the order of the file, overrides last."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(sorted(faults, key=_in_file_order)))
        more = len(self.faults) - MAX_SHOWN
        shown = [str(fault) for fault in self.faults[:MAX_SHOWN]] + ([f"and {more} more faults"] if more > 0 else [])
        super().__init__("\n".join(shown))


def _in_file_order(fault: Fault) -> tuple[bool, int, int]:
    place = fault.place
    return place.line is None, place.line or 0, place.column or 0
