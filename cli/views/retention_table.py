"""The retention table: rows are stages (0 is the base), columns are the tasks and, behind a rule, the benchmarks.

A cell is the score in percent and its change since the base, `72 +14▲`. The mark says that a paired test against the
base, item by item, found the change significant (p < 0.05); colour says the same again. The task just learned is
underlined. Where the terminal is too narrow or too low, columns around the current stage and the newest rows are
kept, and what is hidden is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import figure
from perdure.cli.views.cells import Changes, Column, columns
from perdure.cli.views.format import last_reading, share_of_cap
from perdure.cli.views.symbols import Glyphs, clean, shorten

GAP = 2
LEAST = 3  # cells that the narrowest column takes, with its gap
MARK = {"rollback": "undo", "stop": "stop", "broken": "broken", "project": "projected", "recover": "recovered"}


@dataclass(frozen=True)
class Table:
    """The lines of a table, and what of it is not shown (empty if all of it is)."""

    lines: tuple[Text, ...]
    hidden: str = ""


@dataclass(frozen=True)
class Frame:
    """What stands left of the columns: stage, method, KL; and the widths all lines share."""

    rows: tuple[StageState, ...]
    labels: tuple[str, ...]
    methods: tuple[str, ...]
    kls: tuple[tuple[str, str], ...]
    head: tuple[str, str, str]

    @property
    def widths(self) -> tuple[int, int, int]:
        parts = (self.labels, self.methods, [kl for kl, _ in self.kls])
        label, method, kl = (max(map(cell_len, (*part, title))) for part, title in zip(parts, self.head, strict=True))
        return label, method, kl

    @property
    def width(self) -> int:
        return sum(self.widths) + 2 * GAP


def frame(record: RunState, rows: Sequence[StageState], current: int | None, width: int, glyphs: Glyphs) -> Frame:
    """Names of stages get at most a fifth of the width."""
    digits = len(str(max((row.stage for row in rows), default=0)))
    room = max(width // 5 - digits - 3, 5)
    labels = tuple(
        f"{glyphs.here if row.stage == current else ' '}{row.stage:>{digits}} "
        + shorten("base" if row.stage == 0 else clean(row.name, glyphs), room, glyphs)
        for row in rows
    )
    methods = tuple(_method(row, glyphs) for row in rows)
    return Frame(tuple(rows), labels, methods, tuple(_kl(row, glyphs) for row in rows), (" stage", "method", "KL"))


def _method(row: StageState, glyphs: Glyphs) -> str:
    marks = "".join(getattr(glyphs, MARK.get(event.action, "broken")) for event in row.interventions)
    method = shorten(clean(row.method, glyphs), 10, glyphs) if row.method else glyphs.none
    return f"{method} {marks}" if marks else method


def _kl(row: StageState, glyphs: Glyphs) -> tuple[str, str]:
    reading = last_reading(row)
    if reading is None:
        return ("0", "dim") if row.stage == 0 else (glyphs.none, "dim")
    return figure(reading.kl.value), kl_style(share_of_cap(reading))


def kl_style(share: float) -> str:
    """Green below 80 % of the cap, red above it."""
    return "green" if share < 0.8 else "yellow" if share <= 1 else "red"


def layout(shown: Sequence[Column], room: int) -> list[int] | None:
    """The width of each column within `room` cells, titles cut as little as needed; `None` if they cannot fit."""
    bodies = [column.body for column in shown]
    titles = [cell_len(column.title) for column in shown]
    rule = GAP if _has_rule(shown) else 0
    for limit in range(max(4, *titles, 4), 3, -1):
        widths = [max(body, min(title, limit)) for body, title in zip(bodies, titles, strict=True)]
        if sum(widths) + GAP * len(widths) + rule <= room:
            return widths
    return None


def _has_rule(shown: Sequence[Column]) -> bool:
    return any(column.stage is None for column in shown) and any(column.stage is not None for column in shown)


def nearest(record: RunState, focus: int, most: int) -> list[str]:
    """At most `most` tasks around that of stage `focus`, earlier ones first, and at most `most` benchmarks."""
    middle = min(max(focus - 1, 0), max(len(record.tasks) - 1, 0))
    order = sorted(range(len(record.tasks)), key=lambda index: abs(index - middle) - (0.5 if index < middle else 0))
    return [*(record.tasks[index] for index in order[:most]), *record.benchmarks[:most]]


def window(near: Sequence[Column], room: int) -> list[Column]:
    """As many columns as fit, from `near` which has the nearest task first; a third of them for benchmarks."""
    tasks = [column for column in near if column.stage is not None]
    marks = [column for column in near if column.stage is None]
    for count in range(min(len(near), max(room // LEAST, 1)), 0, -1):
        few = min(len(marks), max(1, count // 3, count - len(tasks))) if count > 1 or not tasks else 0
        shown = [*sorted(tasks[: count - few], key=lambda column: column.stage or 0), *marks[:few]]
        if layout(shown, room) is not None:
            return shown
    return []


def fold_rows(rows: Sequence[StageState], height: int | None) -> tuple[list[StageState], int]:
    """The rows that fit into `height` lines: the base and the newest; and how many between them are folded."""
    if height is None or len(rows) <= max(height, 2):
        return list(rows), 0
    newest = max(height - 2, 1)
    first = [row for row in rows[:1] if row.stage == 0]
    return [*first, *rows[-newest:]], len(rows) - len(first) - newest


def retention_table(
    record: RunState,
    changes: Changes,
    glyphs: Glyphs,
    width: int,
    height: int | None = None,
    current: int | None = None,
    rows: Sequence[StageState] | None = None,
) -> Table:
    """The table within `width` cells and `height` lines (`None`: as many as it takes), `current` stage marked."""
    rows, folded = fold_rows(record.rows if rows is None else rows, None if height is None else height - 2)
    left = frame(record, rows, current, width, glyphs)
    room = width - left.width
    newest = current or max((row.stage for row in rows), default=0)
    names = nearest(record, newest, max(room // LEAST, 1))
    shown = window(columns(record, names, rows, changes, glyphs), room)
    tasks = sum(column.stage is not None for column in shown)
    hidden = hidden_words(len(record.tasks) - tasks, len(record.benchmarks) - len(shown) + tasks)
    return Table(tuple(draw(left, shown, room, glyphs, folded)), hidden)


def table_blocks(record: RunState, changes: Changes, glyphs: Glyphs, width: int) -> list[tuple[Text, ...]]:
    """The whole table, in as many blocks below each other as `width` asks for."""
    left = frame(record, record.rows, None, width, glyphs)
    rest = columns(record, (*record.tasks, *record.benchmarks), record.rows, changes, glyphs)
    blocks: list[tuple[Text, ...]] = []
    room = width - left.width
    while rest or not blocks:
        count = next((n for n in range(min(len(rest), room // LEAST), 1, -1) if layout(rest[:n], room) is not None), 1)
        blocks.append(tuple(draw(left, rest[:count], room, glyphs, 0)))
        rest = rest[count:]
    return blocks


def hidden_words(tasks: int, benchmarks: int) -> str:
    """`4 tasks and 2 benchmarks`, or nothing."""
    counts = ((tasks, "task"), (benchmarks, "benchmark"))
    return " and ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n)


def draw(left: Frame, shown: Sequence[Column], room: int, glyphs: Glyphs, folded: int) -> list[Text]:
    """Title line, rule, one line a row; a line for folded rows below the base."""
    widths = layout(shown, room) or [column.body for column in shown]
    lines = [_titles(left, shown, widths, glyphs), _rule(left, shown, widths, glyphs)]
    for index, row in enumerate(left.rows):
        lines.append(_line(left, index, shown, widths, glyphs))
        if folded and index == (0 if row.stage == 0 else -1):
            lines.append(Text(f"  {glyphs.more} {folded} earlier stages folded", style="dim"))
    return lines


def _separator(shown: Sequence[Column], index: int) -> bool:
    return index > 0 and shown[index].stage is None and shown[index - 1].stage is not None


def _titles(left: Frame, shown: Sequence[Column], widths: Sequence[int], glyphs: Glyphs) -> Text:
    label, method, kl = left.widths
    line = Text(
        f"{left.head[0]:<{label}}{' ' * GAP}{left.head[1]:<{method}}{' ' * GAP}{left.head[2]:>{kl}}", style="bold"
    )
    for index, (column, width) in enumerate(zip(shown, widths, strict=True)):
        if _separator(shown, index):
            line.append(" " * GAP + glyphs.wall, style="dim not bold")
        title = shorten(column.title, width, glyphs)
        line.append(" " * (GAP - _separator(shown, index) + width - cell_len(title)) + title)
    return line


def _rule(left: Frame, shown: Sequence[Column], widths: Sequence[int], glyphs: Glyphs) -> Text:
    line = glyphs.rule * left.width
    for index, width in enumerate(widths):
        wall = glyphs.rule * GAP + glyphs.cross if _separator(shown, index) else glyphs.rule
        line += wall + glyphs.rule * (GAP - 1 + width)
    return Text(line, style="dim")


def _line(left: Frame, index: int, shown: Sequence[Column], widths: Sequence[int], glyphs: Glyphs) -> Text:
    label, method, kl = left.widths
    row, (figure_, style) = left.rows[index], left.kls[index]
    line = Text(_pad(left.labels[index], label) + " " * GAP + _pad(left.methods[index], method) + " " * GAP)
    line.append(" " * (kl - cell_len(figure_)) + figure_, style=style)
    for place, (column, width) in enumerate(zip(shown, widths, strict=True)):
        if _separator(shown, place):
            line.append(" " * GAP + glyphs.wall, style="dim")
        line.append(" " * (GAP - _separator(shown, place)))
        line.append_text(_cell_text(column, index, width, learned=column.stage == row.stage))
    return line


def _pad(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _cell_text(column: Column, index: int, width: int, learned: bool) -> Text:
    """The parts flush right, each at the width of its column; the value of the task just learned underlined."""
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
