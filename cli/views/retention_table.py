"""The retention table: rows are stages (0 is the base), columns are the tasks and, behind a rule, the benchmarks.

A cell is the score in percent and its change since the base, `72 +14▲`. The mark and the colour say that a paired
test against the base, item by item, is significant (p < 0.05), a `~` that a part of the items was asked. The task just
learned is underlined. A terminal that is too narrow or too low shows the columns around the current stage and the
newest rows, and counts what it hides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import nats
from perdure.cli.views.cells import PairedTests, ScoreColumn, columns
from perdure.cli.views.format import last_reading, share_of_cap
from perdure.cli.views.symbols import Symbols, clean, shorten

GAP = 2
MIN_COLUMN = 3
"""Cells of the narrowest column of scores, with its gap."""
MARK = {
    "rollback": "undo",
    "stop": "stop",
    "broken": "broken",
    "project": "projected",
    "recover": "recovered",
    "average": "averaged",
}


@dataclass(frozen=True)
class Table:
    """The lines of a table, and what is hidden (empty where all is shown)."""

    lines: tuple[Text, ...]
    hidden: str = ""


@dataclass(frozen=True)
class StageColumn:
    """A column left of the scores, with a text for each stage."""

    title: str
    texts: Sequence[Text]
    right: bool = False

    @property
    def width(self) -> int:
        return max(cell_len(self.title), *(text.cell_len for text in self.texts), 0)

    def add_to(self, line: Text, text: Text) -> None:
        """Append a text at the width of the column."""
        space = " " * (self.width - text.cell_len)
        line.append(space if self.right else "").append_text(text).append("" if self.right else space)


@dataclass(frozen=True)
class Frame:
    """The stages and the columns left of their scores."""

    rows: Sequence[StageState]
    columns: tuple[StageColumn, ...]

    @property
    def width(self) -> int:
        return sum(column.width + GAP for column in self.columns) - GAP


def frame(rows: Sequence[StageState], current: int | None, width: int, symbols: Symbols) -> Frame:
    """The left part of the table; a new column is a line here. Names of stages get at most a fifth of `width`."""
    digits = len(str(max((row.stage for row in rows), default=0)))
    room = max(width // 5 - digits - 3, 5)
    columns = (
        StageColumn(" stage", [_label(row, row.stage == current, digits, room, symbols) for row in rows]),
        StageColumn("method", [_method(row, symbols) for row in rows]),
        StageColumn("KL", [_kl(row, symbols) for row in rows], right=True),
    )
    return Frame(rows, columns)


def _label(row: StageState, current: bool, digits: int, room: int, symbols: Symbols) -> Text:
    name = "base" if row.stage == 0 else clean(row.name, symbols)
    return Text(f"{symbols.here if current else ' '}{row.stage:>{digits}} {shorten(name, room, symbols)}")


def _method(row: StageState, symbols: Symbols) -> Text:
    marks = "".join(getattr(symbols, MARK.get(event.action, "broken")) for event in row.interventions)
    method = shorten(clean(row.method, symbols), 10, symbols) if row.method else symbols.none
    return Text(f"{method} {marks}" if marks else method)


def _kl(row: StageState, symbols: Symbols) -> Text:
    reading = last_reading(row)
    if reading is None:
        return Text(symbols.none if row.stage else "0", style="dim")
    return Text(nats(reading.kl.value), style=kl_style(share_of_cap(reading)))


def kl_style(share: float) -> str:
    """Green below 80 % of the cap, red above it."""
    return "green" if share < 0.8 else "yellow" if share <= 1 else "red"


def layout(shown: Sequence[ScoreColumn], room: int) -> list[int] | None:
    """The width of each column within `room` cells, titles cut as little as needed; `None` where they cannot fit."""
    bodies = [column.body for column in shown]
    titles = [cell_len(column.title) for column in shown]
    kinds = {column.stage is None for column in shown}
    rule = GAP if len(kinds) > 1 else 0
    for limit in range(max(4, *titles, 4), 3, -1):
        widths = [max(body, min(title, limit)) for body, title in zip(bodies, titles, strict=True)]
        if sum(widths) + GAP * len(widths) + rule <= room:
            return widths
    return None


def nearest(record: RunState, focus: int, most: int) -> list[str]:
    """At most `most` tasks around that of stage `focus`, the nearest first, and at most `most` benchmarks."""
    middle = min(max(focus - 1, 0), max(len(record.tasks) - 1, 0))
    order = sorted(range(len(record.tasks)), key=lambda index: abs(index - middle) - (0.5 if index < middle else 0))
    return [*(record.tasks[index] for index in order[:most]), *record.benchmarks[:most]]


def window(near: Sequence[ScoreColumn], room: int) -> list[ScoreColumn]:
    """As many columns as fit, from `near`, the nearest task first; a third of them benchmarks."""
    tasks = [column for column in near if column.stage is not None]
    marks = [column for column in near if column.stage is None]
    for count in range(min(len(near), max(room // MIN_COLUMN, 1)), 0, -1):
        few = min(len(marks), max(1, count // 3, count - len(tasks))) if count > 1 or not tasks else 0
        shown = [*sorted(tasks[: count - few], key=lambda column: column.stage or 0), *marks[:few]]
        if layout(shown, room) is not None:
            return shown
    return []


def fold_rows(rows: Sequence[StageState], height: int | None) -> tuple[list[StageState], int]:
    """The rows that fit into `height` lines, the base and the newest; and how many between them are folded."""
    if height is None or len(rows) <= max(height, 2):
        return list(rows), 0
    newest = max(height - 2, 1)
    first = [row for row in rows[:1] if row.stage == 0]
    return [*first, *rows[-newest:]], len(rows) - len(first) - newest


def retention_table(
    record: RunState,
    changes: PairedTests,
    symbols: Symbols,
    width: int,
    height: int | None = None,
    current: int | None = None,
    rows: Sequence[StageState] | None = None,
) -> Table:
    """The table within `width` cells and `height` lines (`None`: all), with the `current` stage marked."""
    rows, folded = fold_rows(record.rows if rows is None else rows, None if height is None else height - 2)
    left = frame(rows, current, width, symbols)
    room = width - left.width
    newest = current or max((row.stage for row in rows), default=0)
    names = nearest(record, newest, max(room // MIN_COLUMN, 1))
    shown = window(columns(record, names, rows, changes, symbols), room)
    tasks = sum(column.stage is not None for column in shown)
    hidden = count_hidden(len(record.tasks) - tasks, len(record.benchmarks) - len(shown) + tasks)
    return Table(tuple(table_lines(left, shown, room, symbols, folded)), hidden)


def table_blocks(record: RunState, changes: PairedTests, symbols: Symbols, width: int) -> list[tuple[Text, ...]]:
    """The whole table, in as many blocks below each other as `width` needs."""
    left = frame(record.rows, None, width, symbols)
    rest = columns(record, (*record.tasks, *record.benchmarks), record.rows, changes, symbols)
    blocks: list[tuple[Text, ...]] = []
    room = width - left.width
    while rest or not blocks:
        count = next(
            (n for n in range(min(len(rest), room // MIN_COLUMN), 1, -1) if layout(rest[:n], room) is not None), 1
        )
        blocks.append(tuple(table_lines(left, rest[:count], room, symbols, 0)))
        rest = rest[count:]
    return blocks


def count_hidden(tasks: int, benchmarks: int) -> str:
    """`4 tasks and 2 benchmarks`, or nothing."""
    counts = ((tasks, "task"), (benchmarks, "benchmark"))
    return " and ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n)


def table_lines(left: Frame, shown: Sequence[ScoreColumn], room: int, symbols: Symbols, folded: int) -> list[Text]:
    """Title line, rule, one line a row; a line for folded rows below the base."""
    widths = layout(shown, room) or [column.body for column in shown]
    lines = [_titles(left, shown, widths, symbols), _rule(left, shown, widths, symbols)]
    for index, row in enumerate(left.rows):
        lines.append(_line(left, index, shown, widths, symbols))
        if folded and index == (0 if row.stage == 0 else -1):
            lines.append(Text(f"  {symbols.more} {folded} earlier stages folded", style="dim"))
    return lines


def _separator(shown: Sequence[ScoreColumn], index: int) -> bool:
    return index > 0 and shown[index].stage is None and shown[index - 1].stage is not None


def _titles(left: Frame, shown: Sequence[ScoreColumn], widths: Sequence[int], symbols: Symbols) -> Text:
    line = Text(style="bold")
    for index, column in enumerate(left.columns):
        line.append(" " * GAP if index else "")
        column.add_to(line, Text(column.title))
    for index, (score, width) in enumerate(zip(shown, widths, strict=True)):
        if _separator(shown, index):
            line.append(" " * GAP + symbols.wall, style="dim not bold")
        title = shorten(score.title, width, symbols)
        line.append(" " * (GAP - _separator(shown, index) + width - cell_len(title)) + title)
    return line


def _rule(left: Frame, shown: Sequence[ScoreColumn], widths: Sequence[int], symbols: Symbols) -> Text:
    line = symbols.rule * left.width
    for index, width in enumerate(widths):
        wall = symbols.rule * GAP + symbols.cross if _separator(shown, index) else symbols.rule
        line += wall + symbols.rule * (GAP - 1 + width)
    return Text(line, style="dim")


def _line(left: Frame, index: int, shown: Sequence[ScoreColumn], widths: Sequence[int], symbols: Symbols) -> Text:
    line = Text()
    for place, column in enumerate(left.columns):
        line.append(" " * GAP if place else "")
        column.add_to(line, column.texts[index])
    for place, (score, width) in enumerate(zip(shown, widths, strict=True)):
        if _separator(shown, place):
            line.append(" " * GAP + symbols.wall, style="dim")
        line.append(" " * (GAP - _separator(shown, place)))
        line.append_text(_cell_text(score, index, width, learned=score.stage == left.rows[index].stage))
    return line


def _cell_text(column: ScoreColumn, index: int, width: int, learned: bool) -> Text:
    """The parts of a cell, flush right at the widths of its column; the value of a task just learned is underlined."""
    one = column.cells[index]
    if one.thin:
        return Text(" " * (width - cell_len(one.value)) + one.value, style=one.style)
    value, change, mark = column.widths
    used = value + (change + 1 if change else 0) + mark
    text = Text(" " * (width - used + value - cell_len(one.value)))
    text.append(one.value, style="bold underline" if learned and one.change else "" if one.change else one.style)
    if change:
        text.append(" " * (1 + change - cell_len(one.change)) + one.change, style=one.style)
    text.append(one.mark + " " * (mark - cell_len(one.mark)), style=one.style)
    return text
