"""The progress of a sweep: a bar with the time left on a terminal, a log line a cell elsewhere."""

import math
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from perdure.agent.sweep.contract import FailedCell, FinishedCell
from perdure.agent.sweep.sweep import SweepPlan
from perdure.budget.figures import figure
from perdure.cli.console import on_terminal, reader_may_leave
from perdure.cli.views.format import format_duration
from perdure.cli.views.heartbeat import Heartbeat
from perdure.cli.views.sweep_report import name_cell, one_line
from perdure.cli.views.symbols import ASCII, clean, symbols_for

EVERY = 30.0
"""Seconds without a line after which a sweep says that it goes on."""


class SweepPace:
    """The pace of the cells, and the time left by it. Cells finished before do not count."""

    def __init__(self, total: int, before: int, clock: Callable[[], float]) -> None:
        self.total, self.done, self.failed = total, before, 0
        self._before, self._clock = before, clock
        self._begun = self._last = clock()

    def count(self, *, failed: bool) -> None:
        """Count a cell that finished or failed."""
        self.done += 1
        self.failed += failed
        self._last = self._clock()

    def elapsed(self) -> float:
        """Seconds since the cells began."""
        return self._clock() - self._begun

    def remaining(self) -> float | None:
        """Seconds left, by the mean time between two cells so far; `None` before the first."""
        now = self.done - self._before
        if not now:
            return None
        expected = (self._last - self._begun) / now * (self.total - self.done)
        return max(0.0, expected - (self._clock() - self._last))


class SweepView:
    """Shows the progress of a sweep."""

    def __init__(self, console: Console, *, plain: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._pace = SweepPace(0, 0, clock)
        self._bar = None if plain or not on_terminal(console) else _bar(console, lambda: self._pace)
        self._heartbeat = Heartbeat(self._beat, EVERY, clock)

    def __enter__(self) -> "SweepView":
        if self._bar is not None:
            self._bar.start()
        else:
            self._say("starting")
            self._heartbeat.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        else:
            self._heartbeat.__exit__(kind, error, trace)

    def begin(self, plan: SweepPlan, done: int) -> None:
        """Show that the sweep begins or goes on; `done` of its cells are finished."""
        self._pace = SweepPace(len(plan.cells), done, self._clock)
        if self._bar is not None:
            title = clean(plan.name, symbols_for(self._console.encoding))
            self._bar.add_task(title, total=len(plan.cells), completed=done, failed="")
        else:
            before = f", {done} finished before" if done else ""
            cells = f"{len(plan.cells)} cells" if len(plan.cells) > 1 else "1 cell"
            self._say(f"sweep {plan.name}: {cells}{before}")

    def cell(self, outcome: FinishedCell | FailedCell) -> None:
        """Show a cell that finished or failed."""
        failed = isinstance(outcome, FailedCell)
        self._pace.count(failed=failed)
        if self._bar is not None:
            count = f"{self._pace.failed} failed" if self._pace.failed else ""
            self._bar.update(self._bar.task_ids[0], completed=self._pace.done, failed=count)
        else:
            place = f"{self._pace.done} of {self._pace.total}, {format_duration(self._pace.remaining())} left"
            self._say(f"{describe_outcome(outcome)}; {place}")

    def _beat(self) -> None:
        pace = self._pace
        if not pace.total:
            self._say("starting")
            return
        left = pace.remaining()
        more = "" if left is None else f", about {format_duration(left)} left"
        self._say(f"{pace.done} of {pace.total} cells, {format_duration(pace.elapsed())} so far{more}")

    def _say(self, text: str) -> None:
        self._heartbeat.said()
        with reader_may_leave():
            self._console.file.write(f"{datetime.now():%H:%M:%S} {clean(text, ASCII)}\n")
            self._console.file.flush()


def describe_outcome(outcome: FinishedCell | FailedCell) -> str:
    """`cell 0007 (arm sft-1, seed 0): accuracy 0.948, forgetting 0.120, KL 1.203`, or why it failed."""
    cell = outcome.cell
    name = name_cell(cell.id, cell.values, cell.seed)
    if isinstance(outcome, FailedCell):
        return f"{name} FAILED: {one_line(outcome.reason)}"
    last = outcome.rows[-1]
    figures = {"accuracy": "accuracy", "forgetting": "forgetting", "KL": "kl_base_to_policy"}
    listed = ", ".join(f"{word} {figure(float(last.get(column, math.nan)))}" for word, column in figures.items())
    return f"{name}: {listed}"


class _TimeLeft(ProgressColumn):
    """The time left by all cells so far: cells come many at a time, and rich's own estimate uses the last few."""

    def __init__(self, pace: Callable[[], SweepPace]) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        seconds = self._pace().remaining()
        return Text("" if seconds is None else f"{format_duration(seconds)} left", style="cyan")


def _bar(console: Console, pace: Callable[[], SweepPace]) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}", style="red"),
        TimeElapsedColumn(),
        _TimeLeft(pace),
    )
    return Progress(*columns, console=console, refresh_per_second=4)
