"""A sign of life every so many seconds while nothing else is said."""

import threading
import time
from collections.abc import Callable
from types import TracebackType


class Heartbeat:
    """Calls `beat` from a thread once nothing was said for `every` seconds; `said` starts that time anew."""

    def __init__(self, beat: Callable[[], object], every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._beat, self._every, self._clock = beat, every, clock
        self._last = clock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def said(self) -> None:
        """Something was said just now."""
        self._last = self._clock()

    def wait(self) -> float:
        """Beat if it is time to; the seconds until it may be again."""
        left = self._last + self._every - self._clock()
        if left > 0:
            return left
        self.said()
        self._beat()
        return self._every

    def _run(self) -> None:
        while not self._ended.wait(self.wait()):
            pass
