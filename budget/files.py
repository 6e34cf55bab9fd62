"""Files that survive kills and power cuts: whole or absent, under durable names. Standard library only."""

import errno
import filecmp
import glob
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for "no space": a full disk, the user's quota, the size limit of a file."""

NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK)
"""Error numbers where a file cannot have a second name."""

LEFTOVERS = ("*.partial", ".tmp??????")
"""Names of temporary files that a kill leaves behind: perdure's own, and those of safetensors."""


def write_atomic(path: Path, data: bytes, *, durable: bool = True, shared: bool = False) -> None:
    """Write one file atomically; the settings are those of `atomic_path`.

    Raises:
        OSError: such as a full disk; the file that was at `path` is then unchanged.
    """
    with atomic_path(path, durable=durable, shared=shared) as partial:
        partial.write_bytes(data)


@contextmanager
def atomic_path(path: Path, *, durable: bool = True, shared: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`: renamed to it when the block ends, removed if the block fails.

    Args:
        path: the file to write; its folder must exist.
        durable: wait until content and name are on the disk, so that they survive a power cut.
        shared: other processes, on any machine, may write the same file: each has a temporary file of its own.

    Raises:
        OSError: the system cannot write it; the error names `path`.
    """
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial" if shared else f"{path.name}.partial")
    with naming(path):
        try:
            yield partial
            if durable:
                sync(partial)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if durable:
            sync(path.parent)


@contextmanager
def new_folder(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A folder under a temporary name: renamed to `path` when the block ends, with a durable name, or removed.

    What an earlier one of that name left behind is removed first, unless `shared`: other processes, on any machine, may
    be making the same folder, and the first of them makes it.

    Raises:
        OSError: such as a folder at `path` that is not empty (`ENOTEMPTY` or `EEXIST`).
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    make_folder(path.parent)
    for leftover in [] if shared else path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        remove(leftover)
    try:
        make_folder(partial)
        yield partial
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system that names no file, or that safetensors tells as text, name this one.

    Raises:
        OSError: in its place.
    """
    try:
        yield
    except Exception as error:
        number = error_number(error)
        if number is None or (isinstance(error, OSError) and error.filename is not None):
            raise
        words = error.strerror if isinstance(error, OSError) else os.strerror(number)
        raise OSError(number, words, str(path)) from error


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(handle)
    finally:
        os.close(handle)


def readable(folder: Path) -> None:
    """Let who may read a folder read the files in it: safetensors writes them for their owner alone."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(path.stat().st_mode | (folder.stat().st_mode & 0o044))


def sync_all(folder: Path) -> None:
    """Wait until a folder and everything in it are on the disk, the names too."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, with names that survive a power cut; it may exist.

    Raises:
        OSError: such as a file in its place.
    """
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def clear_leftovers(folder: Path) -> None:
    """Remove temporary files and folders that a kill left in a folder; a folder that is not there has none."""
    for leftover in [path for pattern in LEFTOVERS for path in folder.glob(pattern)]:
        remove(leftover)


def keep_only(folder: Path, kept: Collection[str]) -> None:
    """Remove every file in a folder and below that is not `kept`, by its path from the folder, and empty folders."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in kept:
            path.unlink()


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def link(path: Path, name: Path) -> bool:
    """Give a file a second name; false, and nothing is done, where the file system has no such names (hard links)."""
    try:
        os.link(path, name)
    except OSError as error:
        if error.errno in NO_LINKS:
            return False
        raise
    return True


def has_links(folder: Path) -> bool:
    """True if a file in this folder can have a second name."""
    first, second = (folder / f".links-{number}.partial" for number in (1, 2))
    for path in (first, second):
        path.unlink(missing_ok=True)
    try:
        first.touch()
        return link(first, second)
    finally:
        for path in (first, second):
            path.unlink(missing_ok=True)


def keep_once(path: Path, others: Iterable[Path]) -> bool:
    """Let a file be one on the disk with the first of these that has the same bytes; false where none has."""
    size = path.stat().st_size
    for other in others:
        if other.is_file() and other.stat().st_size == size and filecmp.cmp(path, other, shallow=False):
            partial = path.with_name(f"{path.name}.partial")
            partial.unlink(missing_ok=True)
            if not link(other, partial):
                return False
            partial.replace(path)
            return True
    return False


def hashes(folder: Path, known: Mapping[str, str] | None = None, without: Collection[str] = ()) -> dict[str, str]:
    """SHA-256 of every file in a folder and below, by its path from there.

    `known` ones are taken as they are; `without` names files and folders directly in it that do not count.
    """
    known = known or {}
    files = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    counted = {name.as_posix(): path for name, path in files.items() if name.parts[0] not in without}
    return {name: known.get(name) or sha256_of(path) for name, path in counted.items()}


def sha256_of(path: Path) -> str:
    """SHA-256 of the content of a file, as it is read from the disk."""
    with path.open("rb") as file, naming(path):
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_damaged(folder: Path, expected: Mapping[str, str]) -> str | None:
    """The fault of the first file in `folder` that has not its expected SHA-256; `None`: there is none."""
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        try:
            if sha256_of(path) != digest:
                return f"{path} is not what was written (its SHA-256 differs)"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
    return None


def error_number(error: BaseException) -> int | None:
    """The system's number of an error; safetensors tells it only in its text. `None`: the system did not raise it."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error)) if type(error).__name__ == "SafetensorError" else None
    return None if found is None else int(found[1])


def is_full_disk(error: BaseException) -> bool:
    """True if an error reports a full disk."""
    return error_number(error) in NO_SPACE
