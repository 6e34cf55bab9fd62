"""The journal of a run: one event a line (`agent/run/events.py`), appended and synced, never changed.

Every line ends with the CRC-32 of itself after the line before, so that one that was changed or is missing is noticed.
"""

import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from perdure.agent.run.event import Event
from perdure.agent.run.lines import from_json, to_json
from perdure.budget.errors import RunError
from perdure.budget.files import naming, sync

SEALED = re.compile(rb'(.*), "crc32": (\d+)\}\n', re.DOTALL)


class Journal:
    """Appends events to one file. One writer at a time; readers use `read_journal`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._drop_torn_line()

    def _drop_torn_line(self) -> None:
        """A kill may leave half a line at the end; it was never acknowledged, so it is cut off."""
        self._crc = 0
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))
        sealed = SEALED.fullmatch(whole[whole.rfind(b"\n", 0, -1) + 1 :])
        self._crc = 0 if sealed is None else int(sealed[2])

    def append(self, event: Event) -> Event:
        """Write one event and wait until it is on the disk. Returns it as read back."""
        body = json.dumps(to_json(event), allow_nan=False).encode()
        crc = zlib.crc32(body, self._crc)
        line = b'%b, "crc32": %d}\n' % (body[:-1], crc)
        is_new = not self.path.exists()
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        start = os.fstat(file).st_size
        try:
            with naming(self.path):
                _write(file, start, line)
        finally:
            os.close(file)
        if is_new:
            sync(self.path.parent)
        self._crc = crc
        return read_line(line, self.path)


def _write(file: int, start: int, line: bytes) -> None:
    """Append a line and sync it, or leave the file as it was; no buffer, which would write its rest when closed."""
    try:
        written = 0
        while written < len(line):
            written += os.write(file, line[written:])
        os.fsync(file)
    except OSError:
        os.ftruncate(file, start)
        raise


def read_journal(path: Path) -> Iterator[Event]:
    """The whole events of a journal, oldest first; half a line at the end is not one.

    Raises:
        RunError: it cannot be read.
    """
    crc: int | None = None
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    event = read_line(line, path)
                    crc = _verified(line, crc, path)
                    yield event
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error


def _verified(line: bytes, before: int | None, path: Path) -> int | None:
    """The checksum of a line, given that of the line before; lines of older versions have none.

    Raises:
        RunError: the line is not what was written, or a line before it is missing.
    """
    sealed = SEALED.fullmatch(line)
    if sealed is None and before is None:
        return None
    if sealed is None or zlib.crc32(sealed[1] + b"}", before or 0) != int(sealed[2]):
        raise RunError(f"{path} is damaged: a line was changed, or one before it is missing: {line[:60]!r}…")
    return int(sealed[2])


def read_line(line: bytes, path: Path) -> Event:
    """One event of the journal at `path`.

    Raises:
        RunError: the line is not JSON, not an event, or of a later version.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged, a line is not JSON: {error}") from error
    try:
        return from_json(row)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} is not a journal this version can read: {error!r}") from error
    except RunError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
