"""Work in processes of their own, of which any may die without the rest.

The pool of `concurrent.futures` is lost as a whole when one of its processes is killed; here the item in hand is lost,
and another process takes the dead one's place.
"""

import errno
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, TypeVar

from perdure.budget.errors import DiskFullError, PerdureError
from perdure.budget.files import is_full_disk

Item = TypeVar("Item")
Result = TypeVar("Result")

GRACE = 30.0
"""Seconds that a worker has to save its work when it is told to stop."""


@dataclass(frozen=True)
class Lost:
    """An item without a result: why, and a traceback where there is one."""

    reason: str
    details: str = ""
    full_disk: bool = False


def work(
    function: Callable[[Item], Result], waiting: deque[Item], count: int, log: Path
) -> Iterator[tuple[Item, Result | Lost]]:
    """What `function` makes of each item, in the order in which they are done, by at most `count` processes.

    Processes are spawned, so that they share no state and no lock with this one; each is used for many items. What they
    print goes to the end of `log`. `waiting` may be added to between two results. When the iterator is closed, the
    processes are told to end (SIGTERM), and killed if they do not; they end by themselves if this one dies.

    Raises:
        OSError: an item was lost because the disk is full.
    """
    crew: list[_Worker] = []
    try:
        while waiting or any(worker.busy for worker in crew):
            _hand_out(function, waiting, crew, count, log)
            for worker in _heard_from([worker for worker in crew if worker.busy]):
                item, outcome = worker.take()
                if not worker.alive:
                    crew.remove(worker)
                if isinstance(outcome, Lost) and outcome.full_disk:
                    raise OSError(errno.ENOSPC, outcome.reason)
                yield item, outcome
    finally:
        _stop(crew)


class _Worker:
    """One process and the item it has in hand."""

    def __init__(self, function: Callable[[Any], Any], log: Path) -> None:
        context = get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs, function, str(log)))
        with _ctrl_c_held_back():
            self.process.start()
        theirs.close()
        self.alive, self.busy = True, False
        self._item: Any = None

    def give(self, item: Any) -> bool:
        """Hand an item over; false where the process is dead."""
        try:
            self.line.send(item)
        except OSError:
            self.alive = False
            return False
        self._item, self.busy = item, True
        return True

    def take(self) -> tuple[Any, Any]:
        """The item in hand and what became of it."""
        self.busy = False
        try:
            return self._item, self.line.recv()
        except (EOFError, OSError):
            self.alive = False
            self.process.join()
            return self._item, Lost(_how_it_ended(self.process.exitcode))


def _hand_out(
    function: Callable[[Item], Any], waiting: deque[Item], crew: list[_Worker], count: int, log: Path
) -> None:
    for worker in [worker for worker in crew if not worker.busy]:
        if waiting and worker.give(waiting[0]):
            waiting.popleft()
        elif not worker.alive:
            crew.remove(worker)
    while waiting and len(crew) < count:
        worker = _Worker(function, log)
        crew.append(worker)
        if worker.give(waiting[0]):
            waiting.popleft()
        else:
            crew.remove(worker)


def _heard_from(busy: Sequence[_Worker]) -> list[_Worker]:
    heard = connection.wait([worker.line for worker in busy])
    return [worker for worker in busy if worker.line in heard]


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = "; is there too little memory?" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended by itself, with exit code {code}"


def _stop(crew: Sequence[_Worker]) -> None:
    """Let each end in order, and save what it has in hand; a second Ctrl-C ends the wait."""
    try:
        for worker in crew:
            if worker.busy:
                worker.process.terminate()
            worker.line.close()
        until = time.monotonic() + GRACE
        for worker in crew:
            worker.process.join(max(0.0, until - time.monotonic()))
    finally:
        for worker in crew:
            worker.process.kill()
            worker.process.join()


def _serve(line: Connection, function: Callable[[Any], Any], log: str) -> None:
    """The life of a worker: one item after another, until there is no more, or nobody who listens."""
    _settle_in(log)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            line.send(_attempt(function, line.recv()))


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """A process that is started inside never hears Ctrl-C, so that it is stopped by its parent alone, and once."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle_in(log: str) -> None:
    """Print to the log, take SIGTERM as others take Ctrl-C, and never live without a parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(to, stream.fileno())
    os.close(to)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _attempt(function: Callable[[Any], Any], item: Any) -> Any:
    try:
        return function(item)
    except PerdureError as error:
        return Lost(str(error), full_disk=isinstance(error, DiskFullError))
    except (KeyboardInterrupt, SystemExit) as error:
        return Lost(f"its process was told to end ({type(error).__name__})")
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        return Lost(message, traceback.format_exc(), full_disk=is_full_disk(error))
