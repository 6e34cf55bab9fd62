"""The live view of a run: a panel on a terminal, log lines elsewhere.

`live` and `final` are pure: state in, lines out. `LiveView` puts them on the screen. No line is wider than the
terminal; where it is too low, the oldest stages are folded first.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from perdure.agent.run.event import Event
from perdure.agent.run.state import StageState
from perdure.cli.console import on_terminal, reader_may_leave
from perdure.cli.views import panels
from perdure.cli.views.heartbeat import Heartbeat
from perdure.cli.views.log_lines import LogLines
from perdure.cli.views.retention_table import Table, retention_table
from perdure.cli.views.state import ProgressReport, State, with_event, with_events, with_progress
from perdure.cli.views.symbols import Symbols, clean, harmless, symbols_for

if TYPE_CHECKING:
    from perdure.agent.run.steps import Step
    from perdure.eval.metrics import MetricEstimate

REFRESH = 8
"""Redraws a second."""
SILENT = 15.0
"""Seconds without a line in the log after which it says that the run goes on."""
LOW = 18
"""Lines below which a terminal is too low for blank lines and the legend."""

TableOf = Callable[[State, Symbols, int, int], Table]


def live(
    state: State, now: float, symbols: Symbols, width: int, height: int, table_of: TableOf | None = None
) -> list[Text]:
    """The whole panel of an active run: at most `height` lines of `width` cells."""
    above = top(state, now, symbols, width, low=height < LOW)
    below = [] if height < LOW else legend(symbols, width)
    table = (table_of or live_table)(state, symbols, width, max(height - len(above) - len(below) - 1, 5))
    return [*above, *table.lines, *hidden_lines(table, width, symbols), *below][:height]


def live_table(state: State, symbols: Symbols, width: int, height: int) -> Table:
    """The table, with the current stage marked and, where there is room, the stages to come."""
    return retention_table(
        state.record, state.changes, symbols, width, height, state.stage, rows=rows(state, height - 2)
    )


def top(state: State, now: float, symbols: Symbols, width: int, low: bool) -> list[Text]:
    """The lines above the table; on a low terminal without blank lines, curve and older interventions."""
    curve = None if low else panels.curve_line(state.progress, width, symbols)
    gap = [] if low else [Text("")]
    return [
        *panels.header(
            state.heading, status(state), place(state), state.elapsed(now), width, symbols, state.run_remaining(now)
        ),
        *panels.stage_lines(state.row, state.progress, width, symbols, low=low),
        panels.progress_line(state.progress, state.remaining(), width, symbols, now),
        panels.kl_line(state.record, state.stage, width, symbols),
        *panels.generic_lines(state.record, state.stage, width, symbols),
        *panels.law_lines(state.record, state.row, width, symbols),
        *([] if curve is None else [curve]),
        *panels.price_lines(state.record, width, symbols, most=1 if low else 2),
        *panels.intervention_lines(state.record, width, symbols, most=1 if low else 3),
        *panels.notice_lines(state.record, width, symbols, most=0 if low else 2),
        *([Text(panels.shorten_end(clean(state.note, symbols), width, symbols), style="yellow")] if state.note else []),
        *gap,
    ]


def final(state: State, metrics: "Mapping[str, MetricEstimate]", symbols: Symbols, width: int) -> list[Text]:
    """The lines that stay on the screen: header, KL, interventions, the whole table, the metrics.

    The notices of a finished run are among its findings, which are printed below.
    """
    if state.record.status == "empty":
        return []
    newest = max((row.stage for row in state.record.rows), default=0)
    last = state.record.row(newest)
    table = retention_table(state.record, state.changes, symbols, width)
    summary = panels.metric_lines(state.record, metrics, width, symbols)
    return [
        *panels.header(state.heading, status(state), place(state), state.elapsed(), width, symbols),
        panels.kl_line(state.record, newest, width, symbols),
        *panels.generic_lines(state.record, newest, width, symbols),
        *([] if last is None else panels.law_lines(state.record, last, width, symbols)),
        *panels.price_lines(state.record, width, symbols, most=5),
        *panels.intervention_lines(state.record, width, symbols, most=5),
        *(panels.notice_lines(state.record, width, symbols, most=5) if state.record.status != "finished" else ()),
        Text(""),
        *table.lines,
        *hidden_lines(table, width, symbols),
        *legend(symbols, width),
        *([Text(""), *summary] if summary else []),
    ]


def rows(state: State, room: int) -> tuple[StageState, ...]:
    """The stages of the record, the current one, and, where all fit into `room`, those to come."""
    known = {row.stage: row for row in (*state.record.rows, state.row)}
    if state.stages + 1 <= room:
        known = {n: known.get(n) or StageState(n, state.name_of(n)) for n in range(state.stages + 1)} | known
    return tuple(known[stage] for stage in sorted(known))


def status(state: State) -> str:
    """The status of the run, in a word or two."""
    if state.record.status == "running" and state.gone:
        return "not running"
    return "starting" if state.record.status == "empty" else state.record.status


def place(state: State) -> str:
    """`stage 2 of 3`; of a run that is not active, how many stages are done."""
    if state.record.status == "empty":
        return ""
    done = len(state.record.done)
    if state.record.status != "running" or state.gone:
        return f"{done} of {state.stages} stages"
    return f"stage {state.stage} of {state.stages}" if state.stage else f"base, then {state.stages} stages"


def legend(symbols: Symbols, width: int) -> list[Text]:
    """How to read a cell, as long as fits."""
    marks = symbols.better + ("" if symbols.ascii else symbols.worse)
    long = f"% and change since the base; {marks} p < 0.05, paired test; underlined: just learned"
    short = f"% and change; {marks} paired p < 0.05"
    text = long if cell_len(long) <= width else panels.shorten_end(short, width, symbols)
    return [Text(text, style="dim")]


def hidden_lines(table: Table, width: int, symbols: Symbols) -> list[Text]:
    """The columns that the terminal has no room for."""
    text = f"{table.hidden} hidden: widen the terminal, or `perdure show`"
    return [Text(panels.shorten_end(text, width, symbols), style="dim italic")] if table.hidden else []


class LivePanel:
    """Asks for the state at each refresh, so that time goes on between events.

    The table changes with events only: it and its rendered lines are cached, so that drawing does not slow training.
    """

    def __init__(self, state: Callable[[], State], symbols: Symbols) -> None:
        self.state, self.symbols = state, symbols
        self.closing: list[Text] | None = None
        self._cache: tuple[tuple[object, object], tuple[int, int, int], Table] | None = None
        self._drawn: dict[int, tuple[Text, list[Segment]]] = {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self.closing
        if lines is None:
            height = max(console.height - 1, 4)
            lines = live(self.state(), time.time(), self.symbols, options.max_width, height, self._table)
        lines = [*map(harmless, lines)]
        drawn = {id(line): self._drawn.get(id(line)) or (line, list(line.render(console))) for line in lines}
        self._drawn = drawn
        for line in lines:
            yield from drawn[id(line)][1]
            yield Segment.line()

    def _table(self, state: State, symbols: Symbols, width: int, height: int) -> Table:
        facts, where = (state.record, state.changes), (state.stage, width, height)
        cached = self._cache
        if cached is None or cached[0][0] is not facts[0] or cached[0][1] is not facts[1] or cached[1] != where:
            self._cache = cached = (facts, where, live_table(state, symbols, width, height))
        return cached[2]


class LiveView:
    """Shows an active run: a panel that ends as a table; with `plain`, or off a terminal, log lines."""

    def __init__(
        self, curriculum_title: str, plain: bool, console: Console | None = None, run_folder: Path | None = None
    ) -> None:
        self.console = console or Console(file=sys.stdout, highlight=False)
        self.run_folder = run_folder
        self.state = State(title=curriculum_title, begun=time.time())
        self.symbols = symbols_for(self.console.encoding)
        self.log = LogLines(self._write) if plain or not on_terminal(self.console) else None
        self.heartbeat = Heartbeat(self._beat, SILENT)
        self.panel = LivePanel(lambda: self.state, self.symbols)
        self.live = Live(self.panel, console=self.console, refresh_per_second=REFRESH, auto_refresh=True)

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
            self.panel.closing = final(state, self.metrics(), self.symbols, self.console.width)
            self.live.stop()

    def beating(self) -> AbstractContextManager[object]:
        """Inside, the log has a line every so many seconds, whatever takes long; a panel moves by itself."""
        return nullcontext() if self.log is None else self.heartbeat

    def past(self, events: Iterable[Event]) -> None:
        """Show the events before a resume or a watch, in place of all before; they are not logged."""
        before = self.state
        self.state = with_events(State(title=before.title, begun=before.begun), events, self.run_folder)
        self.state = replace(self.state, progress=before.progress)

    def event(self, event: Event) -> None:
        """Add an event of the journal, once it is written."""
        self.state = with_event(self.state, event, self.run_folder)
        if self.log is not None:
            self.log.event(self.state, event)

    def step(self, step: "Step") -> None:
        """Nothing: `progress` says what is to be shown of it."""

    def progress(self, progress: ProgressReport) -> None:
        """Set the current progress; this alone draws nothing."""
        self.state = with_progress(self.state, {"time": time.time(), **progress})
        if self.log is not None:
            self.log.progress(self.state)

    def note(self, text: str, *, gone: bool = False) -> None:
        """Show a line about the process of the run, or that it is `gone`; an empty `text` removes the line."""
        self.state = replace(self.state, note=text, gone=gone)

    def say(self, text: str) -> None:
        """Print a last line below the view, or in the log."""
        if self.log is not None:
            self.log.say(time.time(), text)
        else:
            self.console.print(Text(clean(text, self.symbols), style="yellow"))

    def metrics(self) -> "Mapping[str, MetricEstimate]":
        """The metrics so far; none before a stage is done, or where files cannot be read."""
        if self.run_folder is None or not self.state.record.done:
            return {}
        from perdure.agent.run.report import metric_estimates

        try:
            return metric_estimates(self.state.record, self.run_folder)
        except (OSError, ValueError, KeyError):
            return {}

    def _beat(self) -> None:
        if self.log is not None:
            self.log.beat(self.state, time.time())

    def _write(self, line: str) -> None:
        self.heartbeat.said()
        with reader_may_leave():
            self.console.file.write(line + "\n")
            self.console.file.flush()
