"""The scores of the retention table: a cell each, a column for each task and benchmark."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from rich.cells import cell_len

from perdure.agent.run.percent import in_percent
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import figure
from perdure.cli.views.format import is_finite
from perdure.cli.views.symbols import Symbols, clean

ALPHA = 0.05
"""The level of a significant change."""
IN_PART = "~"
"""The mark of a score of which a part of the items was asked alone."""


BETTER, WORSE = "green", "red"
"""The styles of a significant change."""


class PairedTest(Protocol):
    """A paired test against the base (`perdure.agent.run.report.changes`)."""

    @property
    def difference(self) -> float: ...
    @property
    def p_value(self) -> float | None: ...


PairedTests = Mapping[tuple[int, str], PairedTest]
"""By stage and score."""


@dataclass(frozen=True)
class ScoreCell:
    """A score in parts, so that a column can be set flush: `72`, `+14`, `▲`; `mark` has `~` where asked in part."""

    value: str
    change: str = ""
    mark: str = ""
    style: str = ""

    @property
    def significant(self) -> bool:
        """True where the change is no noise by the paired test."""
        return self.style in (BETTER, WORSE)

    @property
    def thin(self) -> bool:
        """True where there is too little data for a figure."""
        return self.value.startswith("n/a")


@dataclass(frozen=True)
class ScoreColumn:
    """A task, with the `stage` that learns it, or a benchmark (`None`)."""

    name: str
    stage: int | None
    title: str
    cells: tuple[ScoreCell, ...]

    @cached_property
    def widths(self) -> tuple[int, int, int]:
        """Terminal cells for the value, for the change and for the mark."""
        known = [cell for cell in self.cells if not cell.thin]
        value = max((cell_len(cell.value) for cell in known), default=0)
        change = max((cell_len(cell.change) for cell in known), default=0)
        return value, change, max((cell_len(cell.mark) for cell in known), default=0)

    @cached_property
    def body(self) -> int:
        """The width of the widest cell."""
        value, change, mark = self.widths
        thin = max((cell_len(cell.value) for cell in self.cells if cell.thin), default=0)
        return max(value + (change + 1 if change else 0) + mark, thin)


def cell(
    record: RunState, row: StageState, name: str, changes: PairedTests, symbols: Symbols, percent: bool
) -> ScoreCell:
    """The cell of one stage and one score; a dot while it is still to come."""
    score = row.scores.get(name)
    if score is None:
        return ScoreCell(symbols.none, style="dim")
    if score.n < 2 or not is_finite(score.value):
        return ScoreCell(f"n/a (n={score.n})", style="dim")
    scale = 100 if percent else 1
    value = _number(score.value * scale, percent)
    part = IN_PART if name in row.asked else ""
    base = record.row(0)
    before = None if row.stage == 0 or base is None else base.scores.get(name)
    if before is None or before.n < 2 or not is_finite(before.value):
        return ScoreCell(value, mark=part)
    test, difference = changes.get((row.stage, name)), change_since_base(record, row, name, changes)
    change = _number(difference * scale, percent, sign=True)
    if test is None or test.p_value is None or not test.p_value < ALPHA or difference == 0:
        return ScoreCell(value, change, part, style="dim")
    better = difference > 0
    return ScoreCell(value, change, (symbols.better if better else symbols.worse) + part, BETTER if better else WORSE)


def change_since_base(record: RunState, row: StageState, name: str, changes: PairedTests | None = None) -> float:
    """The change of a score since the base, as a fraction, on the items of both where the `changes` have it.

    NaN where one of the two is not known.
    """
    base, test = record.row(0), (changes or {}).get((row.stage, name))
    if base is None or name not in base.scores or name not in row.scores:
        return math.nan
    if test is not None and is_finite(test.difference):
        return test.difference
    return row.scores[name].value - base.scores[name].value


def _number(value: float, percent: bool, sign: bool = False) -> str:
    if not percent:
        return ("+" if sign and value >= 0 else "") + figure(value)
    whole = math.floor(abs(value) + 0.5)
    if not sign:
        return str(whole if value >= 0 else -whole)
    return f"{'-' if value < 0 and whole else '+' if whole else ' '}{whole}"


def columns(
    record: RunState, names: Sequence[str], rows: Sequence[StageState], changes: PairedTests, symbols: Symbols
) -> list[ScoreColumn]:
    """The columns `names` with the cells of `rows`."""
    stages = {name: stage for stage, name in enumerate(record.tasks, 1)}
    result = []
    for name in names:
        percent = in_percent(record, [name])
        cells = tuple(cell(record, row, name, changes, symbols, percent) for row in rows)
        result.append(ScoreColumn(name, stages.get(name), clean(name, symbols), cells))
    return result
