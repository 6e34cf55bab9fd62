"""The one place from which a run is logged and shown."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from perdure.agent.run.event import Event
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.journal import Journal, read_journal
from perdure.agent.run.state import RunState, active_seconds, fold, read_state
from perdure.agent.run.steps import Step
from perdure.budget import ranks
from perdure.budget.files import write_atomic
from perdure.budget.plain_json import json_text

HISTORY = 60
SHOWN_EVERY = 0.12
WRITTEN_EVERY = 0.5


class View(Protocol):
    """Someone who looks on.

    `step` gets every optimiser step of every stage as soon as it is made; a resumed run makes the steps since its last
    checkpoint again, with the same figures. `progress` gets what is to be shown now, a few times a second.
    """

    def past(self, events: Iterable[Event]) -> None: ...

    def event(self, event: Event) -> None: ...

    def step(self, step: Step) -> None: ...

    def progress(self, progress: dict[str, Any]) -> None: ...

    def say(self, text: str) -> None:
        """Print a line."""
        ...


class Follower(Protocol):
    """Someone who is told what happens, and shows nothing."""

    def event(self, event: Event) -> None: ...

    def step(self, step: Step) -> None: ...


class NullView:
    """A view that shows nothing."""

    def past(self, events: Iterable[Event]) -> None:
        pass

    def event(self, event: Event) -> None:
        pass

    def step(self, step: Step) -> None:
        pass

    def progress(self, progress: dict[str, Any]) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class RunLogger:
    """Journals what happened, keeps the state of the run, and shows both to the view.

    What merely goes on (steps, losses) is no event: it goes to the view, and a few times a second to `progress.json`.
    """

    def __init__(self, folder: RunFolder, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.state = RunState()
        self._view = view
        self._followers: list[Follower] = []
        self._clock = clock
        self._shown = self._written = 0.0
        self._now: dict[str, Any] = {}
        self._losses: deque[float] = deque(maxlen=HISTORY)
        self._rewards: deque[float] = deque(maxlen=HISTORY)
        self._journal = Journal(folder.journal) if ranks.is_main() else None
        ranks.wait()
        if folder.journal.exists():
            self.state = read_state(read_journal(folder.journal))
            view.past(read_journal(folder.journal))
        ranks.wait()

    def log(self, event: Event) -> None:
        """Something happened: journal it, then show it. Every process goes on with what the main one has journaled."""
        self._take(ranks.told(lambda: self._write(event)))

    def log_last(self, event: Event) -> None:
        """The last that this process does, without the others."""
        if ranks.is_main():
            self._take(self._write(event))

    def _write(self, event: Event) -> Event:
        assert self._journal is not None, "the main process writes"
        return self._journal.append(event)

    def _take(self, event: Event) -> None:
        self.state = fold(self.state, event)
        self._view.event(event)
        for follower in self._followers:
            follower.event(event)

    def follow(self, follower: Follower) -> None:
        """From now on tell this one, too."""
        self._followers.append(follower)

    def say(self, text: str) -> None:
        """Print a line that is no event."""
        self._view.say(text)

    def active_seconds(self, stage: int | None = None) -> float:
        """See `perdure.agent.run.state.active_seconds`."""
        return active_seconds(read_journal(self.folder.journal), stage)

    def phase(self, phase: str, *, detail: str = "", **fields: Any) -> None:
        """Something begins: `phase` with, where a stage begins, its number, name and method."""
        if fields.get("stage") != self._now.get("stage"):
            self._now = {"stage_started": time.time()}
            self._losses.clear()
            self._rewards.clear()
        since = self._now.get("since") if phase == self._now.get("phase") else time.time()
        self._now |= {"phase": phase, "detail": detail, "since": since, "done": None, "total": None, **fields}
        self._show(force=True)

    def count(self, done: int, total: int) -> None:
        """So many of the phase's items are done."""
        self._now |= {"done": done, "total": total}
        self._show(force=False)

    def step(self, step: Step, max_steps: int) -> None:
        """One optimiser step of the stage was made."""
        self._view.step(step)
        for follower in self._followers:
            follower.step(step)
        self.show_step(step.step, max_steps, step.figures.get("loss"), step.figures.get("reward"))

    def show_step(self, step: int, max_steps: int, loss: float | None, reward: float | None) -> None:
        """One optimiser step was made, of the stage or of its recovery."""
        if loss is not None:
            self._losses.append(loss)
        if reward is not None:
            self._rewards.append(reward)
        self._now |= {"step": step, "max_steps": max_steps}
        self._show(force=False)

    def _show(self, *, force: bool) -> None:
        now = self._clock()
        if not force and now - self._shown < SHOWN_EVERY:
            return
        self._shown = now
        progress = self._now | {
            "loss": list(self._losses),
            "reward": list(self._rewards),
            "pid": os.getpid(),
            "time": time.time(),
        }
        self._view.progress(progress)
        if ranks.is_main() and (force or now - self._written >= WRITTEN_EVERY):
            self._written = now
            write_atomic(self.folder.progress, json_text(progress).encode(), durable=False)
