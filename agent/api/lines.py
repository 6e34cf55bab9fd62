"""A run as plain lines: one where a stage begins, and one where it ends."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from perdure.agent.run.event import Event
from perdure.agent.run.events import Committed, Decided, Finished, Started
from perdure.agent.run.percent import format_score, in_percent
from perdure.agent.run.state import RunState, StageState, fold
from perdure.agent.run.steps import Step
from perdure.budget.figures import figure
from perdure.curriculum.messages import printable


class Lines:
    """A view that prints."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = RunState()

    def past(self, events: Iterable[Event]) -> None:
        """See `View`. What was before a resume is not printed."""
        for event in events:
            self._state = fold(self._state, event)

    def event(self, event: Event) -> None:
        """See `View`."""
        self._state = fold(self._state, event)
        words = self._words(event)
        if words is not None:
            print(printable(words), flush=True)

    def step(self, step: Step) -> None:
        """See `View`. Steps are not printed."""

    def progress(self, progress: dict[str, Any]) -> None:
        """See `View`. Nothing."""

    def say(self, text: str) -> None:
        """See `View`."""
        print(printable(text), flush=True)

    def _words(self, event: Event) -> str | None:
        stages = len(self._state.tasks)
        match event:
            case Started():
                return f"{self._folder}: {', '.join(event.tasks)}"
            case Decided():
                return f"stage {event.stage} of {stages}, {event.name}: {event.method}"
            case Committed():
                return f"stage {event.stage} of {stages}, {event.name}: done, {self._ended(event)}"
            case Finished():
                return f"finished in {event.seconds:.0f} s"
        return None

    def _ended(self, event: Committed) -> str:
        """`KL 0.120 nats a token of 1, even ~61.0 %, german 92.0 %`; `~`: a part of the items was asked."""
        row = self._state.row(event.stage)
        assert row is not None, "a commit makes its row"
        parts = [self._score(row, name) for name in row.scores]
        if row.readings and event.stage > 0:
            last = row.readings[-1]
            parts.insert(0, f"KL {figure(last.kl.value)} nats {self._state.nouns.per(last.unit)} of {figure(last.cap)}")
        return ", ".join(parts)

    def _score(self, row: StageState, name: str) -> str:
        percent = in_percent(self._state, [name])
        value = format_score(row.scores[name].value, percent)
        return f"{name} {'~' if name in row.asked else ''}{value}{' %' if percent else ''}"
