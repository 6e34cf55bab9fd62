"""Ctrl-C, heard at a moment when the work can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """The first signal during an update waits for the end of the step; a second one, or one elsewhere, acts at once."""

    def __init__(self) -> None:
        self.requested = False
        self._can_wait = False

    @contextmanager
    def may_wait(self) -> Iterator[None]:
        """Inside, someone asks `requested` often and stops in an orderly way."""
        self._can_wait = True
        try:
            yield
        finally:
            self._can_wait = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for SIGINT and SIGTERM; only in the main thread of a process."""
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested or not self._can_wait:
            raise KeyboardInterrupt
        self.requested = True
