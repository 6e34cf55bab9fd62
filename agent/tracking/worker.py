"""The process of one tracker: `python -m perdure.agent.tracking.worker`. It reads lines of JSON and answers with some.

The first line opens the run, each further one is a record, `{"close": STATUS}` is the last. Where the lines end without
it, the run was killed: what is there is still sent. What was sent stands in `NAME.json` in the folder `tracking` of the
run, so that no record is sent twice.

A process of its own, so that nothing that a library does, waits for or draws at random can touch the run.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from perdure.agent.tracking.contract import LoggedTable, Opening, Record, Status, TrackedRun
from perdure.agent.tracking.registry import opener
from perdure.budget.files import write_atomic

NOTED_EVERY = 1.0
"""Seconds between two times at which what was sent is handed on and noted."""


@dataclass(frozen=True)
class Sent:
    """What a tracker has: its id of the run, how many events of the journal, and the last step.

    `reached`: the last step of events, too, which may be there before the steps are.
    """

    id: str | None = None
    events: int = 0
    step: int = -1
    reached: int = -1

    def has(self, record: Record) -> bool:
        """True if the record was sent before."""
        return record.step <= self.step if record.event is None else record.event < self.events

    def after(self, record: Record) -> "Sent":
        """What the tracker has after one more record. One that rewinds sends no step: one that came late has none."""
        step = min(self.step, record.step) if record.rewinds else self.step if record.event is not None else record.step
        reached = record.step if record.rewinds else max(self.reached, record.step)
        return replace(
            self, step=step, reached=reached, events=self.events if record.event is None else record.event + 1
        )


def main() -> None:
    """Serve one tracker until the lines end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines, answers = _private_streams()
    name, opening = _opening(json.loads(next(lines)))
    try:
        serve(name, opening, lines, answers)
    except Exception as error:
        _answer(answers, failed=f"{type(error).__name__}: {error}")
        os._exit(1)  # the library's own last acts may hang
    _answer(answers, closed=True)


def serve(name: str, opening: Opening, lines: Iterator[str], answers: IO[str]) -> None:
    """Open the run at the tracker, hand on every record that it has not, close it."""
    opening.folder.mkdir(exist_ok=True)
    with (opening.folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the process of a run that was killed may still be sending
        noted = opening.folder / f"{name}.json"
        sent = read_sent(noted)
        run = opener(name)(replace(opening, known=sent.id, step=max(sent.step, sent.reached)))
        sent = replace(sent, id=run.id)
        _note(noted, sent, answers)
        sent, status = _send(run, sent, lines, noted, answers)
        run.close(status)
        _note(noted, sent, answers)


def read_sent(path: Path) -> Sent:
    """What a tracker has; nothing, where the file is not there or not whole."""
    try:
        return Sent(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Sent()


def _send(run: TrackedRun, sent: Sent, lines: Iterator[str], noted: Path, answers: IO[str]) -> tuple[Sent, Status]:
    last = time.monotonic()
    for line in lines:
        row = json.loads(line)
        if "close" in row:
            return sent, row["close"]
        record = _record(row)
        if not sent.has(record):
            if record.rewinds:
                run.rewind(record.step)
            run.log(record)
            sent = sent.after(record)
        if time.monotonic() - last >= NOTED_EVERY:
            run.flush()
            _note(noted, sent, answers)
            last = time.monotonic()
        _answer(answers, sent=True)
    return sent, "failed"


def _note(path: Path, sent: Sent, answers: IO[str]) -> None:
    write_atomic(path, json.dumps(asdict(sent)).encode(), durable=False)
    _answer(answers, sent=True)


def _private_streams() -> tuple[Iterator[str], IO[str]]:
    """The lines that come in, and where answers go; what the library prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    lines = os.fdopen(os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return iter(lines.readline, ""), answers


def _answer(answers: IO[str], **what: Any) -> None:
    with suppress(BrokenPipeError):  # the run was killed
        print(json.dumps(what), file=answers, flush=True)


def _opening(row: dict[str, Any]) -> tuple[str, Opening]:
    return row.pop("tracker"), Opening(**row | {"folder": Path(row["folder"])})


def _record(row: dict[str, Any]) -> Record:
    tables = {
        name: LoggedTable(tuple(one["columns"]), tuple(map(tuple, one["rows"]))) for name, one in row["tables"].items()
    }
    return Record(**row | {"tables": tables})


if __name__ == "__main__":
    main()
    sys.exit(0)
