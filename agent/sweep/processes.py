"""A process pool that survives the death of its processes.

A killed process breaks the whole pool of `concurrent.futures`; here only its item fails, and a new process replaces it.
"""

import errno
import io
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
from perdure.budget.memory import keep_freed_memory

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

GRACE_PERIOD = 30.0
"""Seconds that a process has to save its work before it is killed."""


@dataclass(frozen=True)
class Failure:
    """An item without a result: the reason, and a traceback if there is one."""

    reason: str
    details: str = ""
    full_disk: bool = False


def run_in_processes(
    function: Callable[[_Item], _Result], queue: deque[_Item], count: int, log: Path, gpus: Sequence[str] = ()
) -> Iterator[tuple[_Item, _Result | Failure]]:
    """Yield each item with its result, in order of completion, computed by at most `count` processes.

    Processes are spawned, so that they share no state and no lock with this one; each handles many items. Their output
    is appended to `log`. Items may be added to `queue` between two results. Closing the iterator ends the processes by
    SIGTERM, and kills them after `GRACE_PERIOD`; they end by themselves if this process dies. Process k sees the GPU
    `gpus[k]` alone, in turn; without any it sees all of them.

    Raises:
        OSError: an item failed because the disk is full.
    """
    workers: list[_Worker] = []
    try:
        while queue or any(worker.busy for worker in workers):
            _send_items(function, queue, workers, count, log, gpus)
            for worker in _ready([worker for worker in workers if worker.busy]):
                item, outcome = worker.receive()
                if not worker.alive:
                    workers.remove(worker)
                if isinstance(outcome, Failure) and outcome.full_disk:
                    raise OSError(errno.ENOSPC, outcome.reason)
                yield item, outcome
    finally:
        _stop(workers)


class _Worker:
    """One process and its current item."""

    def __init__(self, function: Callable[[Any], Any], log: Path, number: int, gpu: str | None) -> None:
        context = get_context("spawn")
        self.pipe, child_end = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(child_end, function, str(log), gpu))
        with _sigint_blocked():
            self.process.start()
        child_end.close()
        self.number, self.alive, self.busy = number, True, False
        self._item: Any = None

    def send(self, item: Any) -> bool:
        """Send an item; false if the process is dead."""
        try:
            self.pipe.send(item)
        except OSError:
            self.alive = False
            return False
        self._item, self.busy = item, True
        return True

    def receive(self) -> tuple[Any, Any]:
        """The current item and its outcome."""
        self.busy = False
        try:
            return self._item, self.pipe.recv()
        except (EOFError, OSError):
            self.alive = False
            self.process.join()
            return self._item, Failure(_exit_reason(self.process.exitcode))


def _send_items(
    function: Callable[[_Item], Any],
    queue: deque[_Item],
    workers: list[_Worker],
    count: int,
    log: Path,
    gpus: Sequence[str],
) -> None:
    for worker in [worker for worker in workers if not worker.busy]:
        if queue and worker.send(queue[0]):
            queue.popleft()
        elif not worker.alive:
            workers.remove(worker)
    while queue and len(workers) < count:
        number = free_number([worker.number for worker in workers])
        worker = _Worker(function, log, number, gpu_of(number, gpus))
        workers.append(worker)
        if worker.send(queue[0]):
            queue.popleft()
        else:
            workers.remove(worker)


def free_number(taken: Sequence[int]) -> int:
    """The least number that is not taken: a new process has the place, and the GPU, of one that died."""
    return next(number for number in range(len(taken) + 1) if number not in taken)


def gpu_of(number: int, gpus: Sequence[str]) -> str | None:
    """The GPU that process `number` sees; `None`: all that there are."""
    return gpus[number % len(gpus)] if gpus else None


def _ready(busy: Sequence[_Worker]) -> list[_Worker]:
    ready = connection.wait([worker.pipe for worker in busy])
    return [worker for worker in busy if worker.pipe in ready]


def _exit_reason(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = "; is there too little memory?" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended by itself, with exit code {code}"


def _stop(workers: Sequence[_Worker]) -> None:
    """Let each process save its work and end; a second Ctrl-C ends the wait."""
    try:
        for worker in workers:
            if worker.busy:
                worker.process.terminate()
            worker.pipe.close()
        until = time.monotonic() + GRACE_PERIOD
        for worker in workers:
            worker.process.join(max(0.0, until - time.monotonic()))
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _serve(pipe: Connection, function: Callable[[Any], Any], log: str, gpu: str | None) -> None:
    """The main function of a process: handles items until the pipe closes."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    _set_up_process(log)
    keep_freed_memory()
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            pipe.send(attempt(function, pipe.recv()))


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT in a process started inside, so that Ctrl-C reaches it once, through its parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _set_up_process(log: str) -> None:
    """Print to the log, treat SIGTERM as Ctrl-C, and end with the parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
        if isinstance(stream, io.TextIOWrapper):  # what a killed process printed is in the log
            stream.reconfigure(line_buffering=True)
    os.close(descriptor)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def attempt(function: Callable[[Any], Any], item: Any) -> Any:
    """The result of an item, or a `Failure` that says why there is none."""
    try:
        return function(item)
    except PerdureError as error:
        return Failure(str(error), full_disk=isinstance(error, DiskFullError))
    except (KeyboardInterrupt, SystemExit) as error:
        return Failure(f"its process was interrupted ({type(error).__name__})")
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        return Failure(message, traceback.format_exc(), full_disk=is_full_disk(error))
