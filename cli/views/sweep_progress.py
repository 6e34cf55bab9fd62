"""What is seen of a sweep while it runs: a bar with the time left on a terminal, a log line a cell anywhere else."""

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
from perdure.cli.console import reader_may_leave
from perdure.cli.views.format import duration
from perdure.cli.views.live import on_terminal
from perdure.cli.views.sweep_page import cell_words, reason_words
from perdure.cli.views.symbols import ASCII, clean, glyphs_for


class Pace:
    """How fast cells are done, and so how long the others take. Cells that were done before do not count."""

    def __init__(self, total: int, before: int, clock: Callable[[], float]) -> None:
        self.total, self.done, self.failed = total, before, 0
        self._before, self._clock = before, clock
        self._begun = self._last = clock()

    def count(self, *, failed: bool) -> None:
        """One more cell is over."""
        self.done += 1
        self.failed += failed
        self._last = self._clock()

    def left(self) -> float | None:
        """Seconds, by the mean time between two cells so far; `None` before the first."""
        now = self.done - self._before
        if not now:
            return None
        expected = (self._last - self._begun) / now * (self.total - self.done)
        return max(0.0, expected - (self._clock() - self._last))


class SweepView:
    """Shows a sweep as it goes on."""

    def __init__(self, console: Console, *, plain: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._pace = Pace(0, 0, clock)
        self._bar = None if plain or not on_terminal(console) else _bar(console, lambda: self._pace)

    def __enter__(self) -> "SweepView":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, plan: SweepPlan, done: int) -> None:
        """The sweep is about to go on; `done` of its cells are finished."""
        self._pace = Pace(len(plan.cells), done, self._clock)
        if self._bar is not None:
            title = clean(plan.name, glyphs_for(self._console.encoding))
            self._bar.add_task(title, total=len(plan.cells), completed=done, failed="")
        else:
            before = f", {done} finished before" if done else ""
            self._say(f"sweep {plan.name}: {len(plan.cells)} cells{before}")

    def cell(self, outcome: FinishedCell | FailedCell) -> None:
        """One cell is over."""
        failed = isinstance(outcome, FailedCell)
        self._pace.count(failed=failed)
        if self._bar is not None:
            told = f"{self._pace.failed} failed" if self._pace.failed else ""
            self._bar.update(self._bar.task_ids[0], completed=self._pace.done, failed=told)
        else:
            place = f"{self._pace.done} of {self._pace.total}, {duration(self._pace.left())} left"
            self._say(f"{outcome_words(outcome)}; {place}")

    def _say(self, words: str) -> None:
        with reader_may_leave():
            self._console.file.write(f"{datetime.now():%H:%M:%S} {clean(words, ASCII)}\n")
            self._console.file.flush()


def outcome_words(outcome: FinishedCell | FailedCell) -> str:
    """`cell 0007 (arm sft-1, seed 0): accuracy 0.948, forgetting 0.120, KL 1.203`, or why it failed."""
    cell = outcome.cell
    name = cell_words(cell.id, cell.values, cell.seed)
    if isinstance(outcome, FailedCell):
        return f"{name} FAILED: {reason_words(outcome.reason)}"
    last = outcome.rows[-1]
    figures = {"accuracy": "accuracy", "forgetting": "forgetting", "KL": "kl_base_to_policy"}
    told = ", ".join(f"{word} {figure(float(last.get(column, math.nan)))}" for word, column in figures.items())
    return f"{name}: {told}"


class _TimeLeft(ProgressColumn):
    """rich's own estimate looks at the last few ticks; cells come many at a time, so this one looks at all of them."""

    def __init__(self, pace: Callable[[], Pace]) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        left = self._pace().left()
        return Text("" if left is None else f"{duration(left)} left", style="cyan")


def _bar(console: Console, pace: Callable[[], Pace]) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}", style="red"),
        TimeElapsedColumn(),
        _TimeLeft(pace),
    )
    return Progress(*columns, console=console, refresh_per_second=4)
