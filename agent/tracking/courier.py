"""The run's side of one tracker's process. No call waits for the tracker, but for `close`, and that not for long."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from perdure.agent.tracking.contract import Opening, Record, Status

MOST = 20_000
"""Lists of records that wait for a tracker."""
SILENT = 120.0
"""Seconds after which a tracker that has been told something and has answered nothing is given up."""
CLOSING: dict[Status, float] = {"finished": 60.0, "interrupted": 15.0, "failed": 15.0}
"""Seconds that a run waits at its end for a tracker; a second Ctrl-C ends that, too."""
WORKER = (sys.executable, "-m", "perdure.agent.tracking.worker")


class Courier:
    """Hands records to the process of one tracker. `fault` says why it was given up; nothing is sent then."""

    def __init__(
        self,
        name: str,
        opening: Opening,
        command: Sequence[str] = WORKER,
        clock: Callable[[], float] = time.monotonic,
        patience: float = SILENT,
    ) -> None:
        self.name = name
        self.fault: str | None = None
        self._clock, self._patience = clock, patience
        self._waiting: queue.Queue[Iterable[str]] = queue.Queue(MOST)
        self._unanswered: float | None = clock()
        self._closed = threading.Event()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._waiting.put([_line(asdict(opening) | {"tracker": name, "folder": str(opening.folder)})])
        for work, stream in ((self._write, self._process.stdin), (self._read, self._process.stdout)):
            threading.Thread(target=work, args=(stream,), daemon=True, name=f"tracking {name}").start()

    def send(self, records: Sequence[Record]) -> None:
        """Send records, later, from another thread."""
        self._put(_line(asdict(record)) for record in records)

    def close(self, status: Status) -> None:
        """End the tracked run and wait for it, but not for long."""
        if self.fault is None:
            self._put([_line({"close": status})])
            self._closed.wait(CLOSING[status])
        if not self._closed.is_set():
            later = "" if status == "finished" else "; what it lacks is sent when the run is resumed"
            self._give_up(f"it did not end in {CLOSING[status]:.0f} s{later}")
        self._process.kill()
        self._process.wait()

    def _put(self, lines: Iterable[str]) -> None:
        if self.fault is not None:
            return
        if self._unanswered is not None and self._clock() - self._unanswered > self._patience:
            self._give_up(f"it has not answered for {self._patience:.0f} s")
            return
        self._unanswered = self._unanswered or self._clock()
        try:
            self._waiting.put_nowait(lines)
        except queue.Full:
            self._give_up("it is too slow for this run")

    def _give_up(self, why: str) -> None:
        self.fault = self.fault or why
        self._process.kill()

    def _write(self, stream: IO[str]) -> None:
        with suppress(OSError):  # the process has gone; `_read` knows why
            while self.fault is None:
                for line in self._waiting.get():
                    stream.write(line)
                stream.flush()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            answer: dict[str, Any] = json.loads(line)
            self._unanswered = None
            if "failed" in answer:
                self.fault = answer["failed"]
            if "closed" in answer:
                self._closed.set()
        if not self._closed.is_set():
            self.fault = self.fault or "its process ended"
            self._closed.set()


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value) + "\n"
