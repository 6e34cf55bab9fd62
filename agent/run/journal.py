"""The journal of a run: one event a line (`agent/run/events.py`), appended and synced, never changed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from perdure.agent.run.events import Event, from_json, to_json
from perdure.budget.errors import RunError


class Journal:
    """Appends events to one file. One writer at a time; readers use `read_journal`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._drop_torn_line()

    def _drop_torn_line(self) -> None:
        """A kill may leave half a line at the end; it was never acknowledged, so it is cut off."""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))

    def append(self, event: Event) -> Event:
        """Write one event and wait until it is on the disk. Returns it as read back."""
        line = (json.dumps(to_json(event), allow_nan=True) + "\n").encode()
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        start = os.fstat(file).st_size
        try:  # without a buffer, which would write its rest when it is closed
            written = 0
            while written < len(line):
                written += os.write(file, line[written:])
            os.fsync(file)
        except OSError:
            os.ftruncate(file, start)
            raise
        finally:
            os.close(file)
        return read_line(line, self.path)


def read_journal(path: Path) -> Iterator[Event]:
    """The whole events of a journal, oldest first; half a line at the end is not one.

    Raises:
        RunError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield read_line(line, path)
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error


def read_line(line: bytes, path: Path) -> Event:
    """One event of the journal at `path`.

    Raises:
        RunError: the line is not JSON, not an event, or of a later version.
    """
    try:
        row = json.loads(line)
    except ValueError as error:
        raise RunError(f"{path} is damaged, a line is not JSON: {error}") from error
    try:
        return from_json(row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} is not a journal this version can read: {error!r}") from error
    except RunError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
