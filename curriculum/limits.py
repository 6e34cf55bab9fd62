"""Limits on the time and the memory that the code of a library takes."""

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN = 0.1
"""Seconds until it is said again that time is up, to code that goes on after any error."""


class _TimeIsUpError(BaseException):
    """No `Exception`, which generators catch to try again."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` if the block takes more than so many seconds of processor time.

    The clock of a process is that of its main thread: in another one there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_number: int, _frame: FrameType | None) -> None:
        raise _TimeIsUpError

    before = signal.signal(signal.SIGPROF, over)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
        yield
    except _TimeIsUpError:
        raise TimeoutError from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def memory_limit(more: int) -> Iterator[None]:
    """Let the block take so many bytes beyond what the process has, where Linux counts them; then: `MemoryError`."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = _pages()
    if pages is not None:
        allowed = min(one for one in (pages * resource.getpagesize() + more, *before) if one >= 0)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _pages() -> int | None:
    """The pages of memory that the process has; read without `pathlib`, since it is asked for every text."""
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return None
    try:
        return int(os.read(statm, 64).split()[0])
    finally:
        os.close(statm)
