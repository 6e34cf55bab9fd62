"""Counts what long work has done, for whoever looks on; without one it costs nothing.

Who looks on says so by `watched`; work says by `expect` how much there is, and by `count` what is done.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

Tell = Callable[[int, int], object]
"""Is told how many are done, and of how many."""


@dataclass
class _Count:
    tell: Tell
    done: int = 0
    total: int = 0


_COUNT: ContextVar[_Count | None] = ContextVar("count", default=None)


@contextmanager
def watched(tell: Tell) -> Iterator[None]:
    """Tell of all that is counted inside."""
    token = _COUNT.set(_Count(tell))
    try:
        yield
    finally:
        _COUNT.reset(token)


def expect(total: int) -> None:
    """So many are to come, and none is done."""
    found = _COUNT.get()
    if found is not None:
        found.done, found.total = 0, total
        found.tell(0, total)


def count(more: int = 1) -> None:
    """So many more are done; never more than were expected."""
    found = _COUNT.get()
    if found is not None and found.total and more:
        found.done = min(found.done + more, found.total)
        found.tell(found.done, found.total)
