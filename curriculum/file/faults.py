"""What is wrong with a curriculum, and where: one line a fault, all faults of a file in one error."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from perdure.budget.errors import ConfigError

Path = tuple[str | int, ...]
"""Keys and list indices from the root of a curriculum: `("stages", 0, "train")`."""


@dataclass(frozen=True)
class Place:
    """Where something is written: a file with line and column (from 1), or an override (`--set …`) without them."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.source, self.line, self.column) if part is not None)


@dataclass(frozen=True)
class Fault:
    """One thing to mend: where it is written, its path in the curriculum, and the rule with what would be right."""

    place: Place
    path: Path
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), show_path(self.path), self.message) if part)


class CurriculumError(ConfigError):
    """Every fault of one curriculum, in the order of the file, overrides last."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(sorted(faults, key=_in_file_order)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def _in_file_order(fault: Fault) -> tuple[bool, int, int]:
    place = fault.place
    return place.line is None, place.line or 0, place.column or 0


def show_path(path: Path) -> str:
    """`("stages", 0, "train")` as `stages[0].train`; keys that are no plain words in quotes."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            word = part if part.replace("-", "_").isidentifier() else json.dumps(part)
            shown += f".{word}" if shown else word
    return shown


def show_value(value: Any) -> str:
    """A value as YAML would say it, on one line of at most 60 characters, control characters escaped."""
    if isinstance(value, dict):
        return f"a map ({', '.join(map(str, value))})" if 0 < len(value) <= 4 else f"a map of {len(value)} keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…" + shown[-1]


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the choice nearest to a word, or nothing if none is near."""
    if not isinstance(word, str):
        return ""
    by_fold = {_fold(choice): choice for choice in choices}
    near = get_close_matches(_fold(word), list(by_fold), n=1, cutoff=0.6)
    return f"; did you mean {by_fold[near[0]]!r}?" if near else ""


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_")


def one_of(choices: Sequence[str]) -> str:
    """`'a', 'b' or 'c'`."""
    quoted = [repr(choice) for choice in choices]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
