"""Makes a path that a file names absolute; the worlds resolve their own paths with these functions."""

import os.path
import re
from pathlib import Path as FilePath

MOST_WILD = 2
FILE_SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")


class NotThereError(Exception):
    """A local file or folder is missing; the message names it."""


def hub_or_local(value: str, base: FilePath) -> str:
    """The path of an existing file or folder; else the value, as a hub id."""
    if is_url(value):
        return value
    found = absolute(value, base)
    if found.exists():
        return str(found)
    if is_clearly_local(value) or value.endswith(FILE_SUFFIXES):
        raise NotThereError(f"no such file or folder: {found}")
    return value


def local_file(value: str, base: FilePath) -> str:
    """The path of a file. Raises NotThereError."""
    found = absolute(value, base)
    if not found.is_file():
        raise NotThereError(f"{'a folder, not a file' if found.is_dir() else 'no such file'}: {found}")
    return str(found)


def local_folder(value: str, base: FilePath) -> str:
    """The path of a folder. Raises NotThereError."""
    found = absolute(value, base)
    if not found.is_dir():
        raise NotThereError(f"{'a file, not a folder' if found.is_file() else 'no such folder'}: {found}")
    return str(found)


def is_url(value: str) -> bool:
    """True if a value begins with a scheme."""
    return re.match(r"[a-z][a-z0-9+.-]*://", value) is not None


def is_clearly_local(value: str) -> bool:
    """True if a value cannot be a hub id."""
    return value in (".", "..") or value.startswith(("./", "../", "~", "/"))


def absolute(value: str, base: FilePath) -> FilePath:
    """The absolute path, without `.` and `..`; links are not followed."""
    try:
        expanded = FilePath(value).expanduser()
    except RuntimeError:
        raise NotThereError(f"no such user: {value}") from None
    return FilePath(os.path.normpath(base.absolute() / expanded))


def matches(found: FilePath) -> bool:
    """True if a path or pattern matches any file; where looking might take minutes, if its first folder is there."""
    parts = found.parts
    wild = [number for number, part in enumerate(parts) if re.search(r"[*?\[]", part)]
    if not wild:
        return found.exists()
    fixed = FilePath(*parts[: wild[0]])
    if len(wild) > MOST_WILD or "**" in str(found):
        return fixed.is_dir()
    return any(fixed.glob(str(found.relative_to(fixed))))
