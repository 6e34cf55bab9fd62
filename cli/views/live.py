"""The live view of a run: one pane on a terminal, log lines anywhere else.

`live` and `final` are pure: state in, lines out. `LiveView` puts them on the screen. Nothing is ever wider than the
terminal; where it is too low, the oldest stages are folded first.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from perdure.agent.run.events import Event
from perdure.agent.run.state import StageState
from perdure.cli.console import reader_may_leave
from perdure.cli.views import panels
from perdure.cli.views.log_lines import PlainLog
from perdure.cli.views.retention_table import Table, retention_table
from perdure.cli.views.state import Progress, State, with_event, with_events, with_progress
from perdure.cli.views.symbols import Glyphs, glyphs_for

if TYPE_CHECKING:
    from perdure.eval.metrics import MetricEstimate

REFRESH = 8
LOW = 18

TableOf = Callable[[State, Glyphs, int, int], Table]


def live(
    state: State, now: float, glyphs: Glyphs, width: int, height: int, table_of: TableOf | None = None
) -> list[Text]:
    """The whole pane while a run lives: at most `height` lines of `width` cells."""
    above = top(state, now, glyphs, width, low=height < LOW)
    below = [] if height < LOW else legend(glyphs, width)
    table = (table_of or live_table)(state, glyphs, width, max(height - len(above) - len(below) - 1, 5))
    return [*above, *table.lines, *hidden_lines(table, width, glyphs), *below][:height]


def live_table(state: State, glyphs: Glyphs, width: int, height: int) -> Table:
    """The table with the stage in hand marked and, if there is room, the stages still to come."""
    return retention_table(
        state.record, state.changes, glyphs, width, height, state.stage, rows=rows(state, height - 2)
    )


def top(state: State, now: float, glyphs: Glyphs, width: int, low: bool) -> list[Text]:
    """Everything above the table; on a low terminal without blank lines, curve and older interventions."""
    curve = None if low else panels.curve_line(state.progress, width, glyphs)
    gap = [] if low else [Text("")]
    return [
        *panels.header(state.title, status(state), place(state), state.elapsed(now), width, glyphs),
        *panels.stage_lines(state.row, state.progress, width, glyphs, low=low),
        panels.progress_line(state.progress, state.left(), width, glyphs),
        panels.kl_line(state.record, state.stage, width, glyphs),
        *panels.law_lines(state.record, state.row, width, glyphs),
        *([] if curve is None else [curve]),
        *panels.price_lines(state.record, width, glyphs, most=1 if low else 2),
        *panels.intervention_lines(state.record, width, glyphs, most=1 if low else 3),
        *([Text(panels.shorten_end(state.note, width, glyphs), style="yellow")] if state.note else []),
        *gap,
    ]


def final(state: State, metrics: "Mapping[str, MetricEstimate]", glyphs: Glyphs, width: int) -> list[Text]:
    """What stays on the screen: header, KL, interventions, the table with all its rows, the metrics."""
    if state.record.status == "empty":
        return []
    newest = max((row.stage for row in state.record.rows), default=0)
    last = state.record.row(newest)
    table = retention_table(state.record, state.changes, glyphs, width)
    summary = panels.metric_lines(metrics, width, glyphs)
    return [
        *panels.header(state.title, status(state), place(state), state.elapsed(), width, glyphs),
        panels.kl_line(state.record, newest, width, glyphs),
        *([] if last is None else panels.law_lines(state.record, last, width, glyphs)),
        *panels.price_lines(state.record, width, glyphs, most=5),
        *panels.intervention_lines(state.record, width, glyphs, most=5),
        Text(""),
        *table.lines,
        *hidden_lines(table, width, glyphs),
        *legend(glyphs, width),
        *([Text(""), *summary] if summary else []),
    ]


def rows(state: State, room: int) -> tuple[StageState, ...]:
    """The rows of the record, the stage in hand, and, where all fit into `room`, the stages still to come."""
    known = {row.stage: row for row in (*state.record.rows, state.row)}
    if state.stages + 1 <= room:
        known = {n: known.get(n) or StageState(n, state.name_of(n)) for n in range(state.stages + 1)} | known
    return tuple(known[stage] for stage in sorted(known))


def status(state: State) -> str:
    """How the run stands, in a word or two."""
    if state.record.status == "running" and state.gone:
        return "not running"
    return "starting" if state.record.status == "empty" else state.record.status


def place(state: State) -> str:
    """`stage 2 of 3`, or how many stages are done."""
    if state.record.status == "empty":
        return ""
    done = sum(row.committed and row.stage > 0 for row in state.record.rows)
    if state.record.status != "running" or state.gone:
        return f"{done} of {state.stages} stages"
    return f"stage {state.stage} of {state.stages}" if state.stage else f"base, then {state.stages} stages"


def legend(glyphs: Glyphs, width: int) -> list[Text]:
    """How to read a cell, in as many words as fit."""
    marks = glyphs.better + ("" if glyphs.ascii else glyphs.worse)
    long = f"% and change since the base; {marks} p < 0.05, paired test; underlined: just learned"
    short = f"% and change; {marks} paired p < 0.05"
    words = long if cell_len(long) <= width else panels.shorten_end(short, width, glyphs)
    return [Text(words, style="dim")]


def hidden_lines(table: Table, width: int, glyphs: Glyphs) -> list[Text]:
    """Says which columns the terminal has no room for."""
    words = f"{table.hidden} hidden: widen the terminal, or `perdure show`"
    return [Text(panels.shorten_end(words, width, glyphs), style="dim italic")] if table.hidden else []


class Pane:
    """What rich draws: asks for the state at each refresh, so that the time runs on between events.

    The table changes with events only, so it and its drawn lines are kept between refreshes: drawing must not slow the
    training down.
    """

    def __init__(self, state: Callable[[], State], glyphs: Glyphs) -> None:
        self.state, self.glyphs = state, glyphs
        self.closing: list[Text] | None = None
        self._kept: tuple[tuple[object, object], tuple[int, int, int], Table] | None = None
        self._drawn: dict[int, tuple[Text, list[Segment]]] = {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self.closing
        if lines is None:
            height = max(console.height - 1, 4)
            lines = live(self.state(), time.time(), self.glyphs, options.max_width, height, self._table)
        drawn = {id(line): self._drawn.get(id(line)) or (line, list(line.render(console))) for line in lines}
        self._drawn = drawn
        for line in lines:
            yield from drawn[id(line)][1]
            yield Segment.line()

    def _table(self, state: State, glyphs: Glyphs, width: int, height: int) -> Table:
        facts, where = (state.record, state.changes), (state.stage, width, height)
        kept = self._kept
        if kept is None or kept[0][0] is not facts[0] or kept[0][1] is not facts[1] or kept[1] != where:
            self._kept = kept = (facts, where, live_table(state, glyphs, width, height))
        return kept[2]


class LiveView:
    """Shows a run as it happens. On a terminal a pane that ends as a table; with `plain`, or off one, log lines."""

    def __init__(
        self, curriculum_title: str, plain: bool, console: Console | None = None, run_folder: Path | None = None
    ) -> None:
        self.console = console or Console(file=sys.stdout, highlight=False)
        self.run_folder = run_folder
        self.state = State(title=curriculum_title)
        self.glyphs = glyphs_for(self.console.encoding)
        self.log = PlainLog(self._write) if plain or not on_terminal(self.console) else None
        self.pane = Pane(lambda: self.state, self.glyphs)
        self.live = Live(self.pane, console=self.console, refresh_per_second=REFRESH, auto_refresh=True)

    def __enter__(self) -> "LiveView":
        if self.log is None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.log is None:
            crashed = kind is not None and not issubclass(kind, KeyboardInterrupt)
            state = replace(self.state, gone=True) if crashed else self.state
            self.pane.closing = final(state, self.metrics(), self.glyphs, self.console.width)
            self.live.stop()

    def past(self, events: Iterable[Event]) -> None:
        """Take in what happened before, as when a run is resumed or watched; nothing is logged for it."""
        self.state = with_events(self.state, events, self.run_folder)

    def event(self, event: Event) -> None:
        """Take in one event of the journal, once it is written."""
        self.state = with_event(self.state, event, self.run_folder)
        if self.log is not None:
            self.log.event(self.state, event)

    def progress(self, progress: Progress) -> None:
        """Take in the progress of the moment; as often as wanted, it draws nothing by itself."""
        self.state = with_progress(self.state, progress)
        if self.log is not None:
            self.log.progress(self.state)

    def note(self, text: str, *, gone: bool = False) -> None:
        """Show a line about the process of the run, such as that it is silent, or `gone`; empty to take it away."""
        self.state = replace(self.state, note=text, gone=gone)

    def say(self, text: str) -> None:
        """One last line below the view, or in the log."""
        if self.log is not None:
            self.log.say(time.time(), text)
        else:
            self.console.print(Text(text, style="yellow"))

    def metrics(self) -> "Mapping[str, MetricEstimate]":
        """The metrics of the life so far; none before a stage is done, or where its files cannot be read."""
        if self.run_folder is None or not any(row.committed and row.stage > 0 for row in self.state.record.rows):
            return {}
        from perdure.agent.run.report import metric_estimates

        try:
            return metric_estimates(self.state.record, self.run_folder)
        except (OSError, ValueError, KeyError):
            return {}

    def _write(self, line: str) -> None:
        with reader_may_leave():
            self.console.file.write(line + "\n")
            self.console.file.flush()


def on_terminal(console: Console) -> bool:
    """True where a pane can be drawn again and again in place."""
    return console.is_terminal and not console.is_dumb_terminal
