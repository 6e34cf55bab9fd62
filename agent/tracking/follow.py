"""Sends a run to its trackers while it goes on; whatever becomes of them, the run goes on."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from perdure.agent.life import Life
from perdure.agent.run.event import Event, StageEvent
from perdure.agent.run.events import Finished, Redone, Started
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, fold
from perdure.agent.run.steps import Step
from perdure.agent.tracking.contract import Opening, Record, Status
from perdure.agent.tracking.courier import Courier
from perdure.agent.tracking.records import key_of, of_event, of_past_steps, of_step
from perdure.budget import ranks
from perdure.curriculum.messages import printable, shorten
from perdure.curriculum.tracking import Tracker

FOLDER = "tracking"


class Sender(Protocol):
    """Sends records to one tracker, and says in `fault` why no more can be sent."""

    @property
    def name(self) -> str: ...

    @property
    def fault(self) -> str | None: ...

    def send(self, records: Sequence[Record]) -> None: ...

    def close(self, status: Status) -> None: ...


class Tracking:
    """Sends events and steps to every tracker. `say` prints a line.

    A resumed run makes events and steps again that it made before a kill, with the same figures: each is sent once.
    """

    def __init__(self, senders: Sequence[Sender], say: Callable[[str], object]) -> None:
        self._senders, self._say = list(senders), say
        self._state = RunState()
        self._count = 0
        self._step = -1
        self._told: set[tuple[object, ...]] = set()

    def past(self, events: Iterable[Event]) -> None:
        """Send what happened before, but for what was taken back since."""
        events = list(events)
        records = [self._record(event) for event in events]
        kept = _kept(events)
        self._send([one for index, one in enumerate(records) if one is not None and index in kept])

    def event(self, event: Event) -> None:
        """Send an event, unless it is a repetition."""
        record = self._record(event)
        if record is not None:
            self._send([record])

    def step(self, step: Step) -> None:
        """Send a step, unless it is a repetition."""
        self.steps([of_step(step)])

    def steps(self, records: Sequence[Record]) -> None:
        """Send steps, but for repetitions."""
        new = [record for record in records if record.step > self._step]
        if new:
            self._step = new[-1].step
            self._send(new)

    def close(self, status: Status) -> None:
        """End the tracked runs."""
        for sender in self._senders:
            sender.close(status)
        self._say_faults()

    def _record(self, event: Event) -> Record | None:
        self._state = fold(self._state, event)
        self._count += 1
        record = of_event(event, self._count - 1, self._state)
        if isinstance(event, Redone) and record is not None:
            self._told = {key for key in self._told if int(str(key[1])) < event.stage}
            self._step = min(self._step, record.step)
        key = key_of(event)
        if key is None:
            return record
        repeated = key in self._told
        self._told.add(key)
        return None if repeated else record

    def _send(self, records: Sequence[Record]) -> None:
        for sender in self._senders:
            sender.send(records)
        self._say_faults()

    def _say_faults(self) -> None:
        for sender in self._senders:
            if sender.fault is not None:
                self._say(f"tracking: the run goes on without {sender.name}: {harmless(sender.fault)}")
        self._senders = [one for one in self._senders if one.fault is None]


def harmless(fault: str) -> str:
    """A library's error on one line, without the secrets that an address may hold."""
    text = re.sub(r"://[^/@\s]+@", "://…@", " ".join(fault.split()))
    return printable(shorten(re.sub(r"((?:token|key)=)[^&\s]+", r"\1…", text), 300))


def _kept(events: Sequence[Event]) -> set[int]:
    """The indices of the events that no later `Redone` took back; it takes back, too, that the run had finished."""
    kept: set[int] = set()
    first: int | None = None
    for index in reversed(range(len(events))):
        event = events[index]
        if isinstance(event, Redone):
            first = event.stage if first is None else min(first, event.stage)
            kept.add(index)
        elif first is None or not (
            isinstance(event, Finished) or (isinstance(event, StageEvent) and event.stage >= first)
        ):
            kept.add(index)
    return kept


def sweep_of(run: Path) -> str | None:
    """The name of the sweep that a run folder is a cell of."""
    sweep = run.absolute().parent.parent
    return sweep.name if (sweep / "sweep.json").is_file() else None


@contextmanager
def tracked(life: Life) -> Iterator[None]:
    """Inside, the run is sent to the trackers of its curriculum; what it did before is sent first."""
    if not life.curriculum.tracking or not ranks.is_main():
        yield
        return
    tracking = _opened(life.folder, life.curriculum.trackers, life.logger.say)
    life.logger.follow(tracking)
    status: Status = "failed"
    try:
        yield
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        tracking.close(status)


def send_finished(folder: RunFolder, trackers: Sequence[Tracker], say: Callable[[str], object]) -> None:
    """Send a finished run to trackers; each gets what it has not."""
    _opened(folder, trackers, say).close("finished")


def _opened(folder: RunFolder, trackers: Sequence[Tracker], say: Callable[[str], object]) -> Tracking:
    events = list(read_journal(folder.journal))
    config = _config(events[0])
    path = folder.path
    couriers = [
        Courier(
            one.type,
            Opening(one.model_dump(mode="json", exclude={"type"}), path / FOLDER, path.name, sweep_of(path), config),
        )
        for one in trackers
    ]
    tracking = Tracking(couriers, say)
    tracking.past(events)
    tracking.steps(of_past_steps(path))
    return tracking


def _config(started: Event) -> dict[str, Any]:
    assert isinstance(started, Started), "`read_record` refuses any other beginning"
    about = {"run": started.run, "world": started.world, "base_id": started.base_id, "versions": dict(started.versions)}
    return {**started.curriculum, **about}
