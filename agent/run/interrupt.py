"""Signals that end a run, heard at a moment when the work can be saved."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def endings() -> list[signal.Signals]:
    """The signals, besides Ctrl-C's, that ask a process to end."""
    return [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]


def end_in_words() -> None:
    """From now on a signal that ends this process says so and counts as Ctrl-C, also before a run has begun."""

    def heard(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            leave_terminal()
        signal.signal(number, signal.SIG_DFL)  # a second one must not interrupt what is done at the exit
        print(f"ended by {signal.Signals(number).name}", file=sys.stderr)
        raise KeyboardInterrupt

    for number in endings():
        signal.signal(number, heard)


def leave_terminal() -> None:
    """Write nowhere what would go to a terminal, since it has hung up and each write would fail."""
    for stream in (1, 2):
        if os.isatty(stream):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream)
            os.close(nowhere)


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
        """Listen for SIGINT, SIGTERM and, unless `nohup` has it ignored, SIGHUP.

        Python lets only a process's main thread do so; in another one nothing is listened for.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, *endings())}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            leave_terminal()
        if self.requested or not self._can_wait:
            raise KeyboardInterrupt
        self.requested = True
