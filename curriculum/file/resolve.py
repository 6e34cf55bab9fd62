"""Turns a path that a file names into an absolute one; a world's own paths are found with these."""

import os.path
import re
from pathlib import Path as FilePath

FILE_SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")


class NotThereError(Exception):
    """A local file or folder that is not there; the message says so."""


def hub_or_local(value: str, base: FilePath) -> str:
    """A file or folder that is there; else a hub id, as it is."""
    if is_url(value):
        return value
    found = absolute(value, base)
    if found.exists():
        return str(found)
    if is_clearly_local(value) or value.endswith(FILE_SUFFIXES):
        raise NotThereError(f"no such file or folder: {found}")
    return value


def local_file(value: str, base: FilePath) -> str:
    """A file. Raises NotThereError."""
    found = absolute(value, base)
    if not found.is_file():
        raise NotThereError(f"{'a folder, not a file' if found.is_dir() else 'no such file'}: {found}")
    return str(found)


def local_folder(value: str, base: FilePath) -> str:
    """A folder. Raises NotThereError."""
    found = absolute(value, base)
    if not found.is_dir():
        raise NotThereError(f"{'a file, not a folder' if found.is_file() else 'no such folder'}: {found}")
    return str(found)


def is_url(value: str) -> bool:
    """Whether a value begins with a scheme."""
    return re.match(r"[a-z][a-z0-9+.-]*://", value) is not None


def is_clearly_local(value: str) -> bool:
    """Whether a value can be no hub id."""
    return value in (".", "..") or value.startswith(("./", "../", "~", "/"))


def absolute(value: str, base: FilePath) -> FilePath:
    """Absolute, without `.` and `..`; links stay as they are written."""
    try:
        expanded = FilePath(value).expanduser()
    except RuntimeError:
        raise NotThereError(f"no such user: {value}") from None
    return FilePath(os.path.normpath(base.absolute() / expanded))


def matches(found: FilePath) -> bool:
    """Whether a path, or a pattern, is of any file."""
    if not re.search(r"[*?\[]", str(found)):
        return found.exists()
    return any(FilePath(found.anchor).glob(str(found.relative_to(found.anchor))))
