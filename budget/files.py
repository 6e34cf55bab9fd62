"""Atomic writes: a file exists whole or not at all. Standard library only, for every room."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for "no space": a full disk, the user's quota, the size limit of a file."""


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
        shared: other processes may write the same file: each has a temporary file of its own, which a kill leaves
            behind.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial" if shared else f"{path.name}.partial")
    try:
        yield partial
        if durable:
            sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_full_disk(error: BaseException) -> bool:
    """True if an error reports a full disk; safetensors says so only in its text."""
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    is_safetensors = type(error).__name__ == "SafetensorError"
    return is_safetensors and any(f"(os error {number})" in str(error) for number in NO_SPACE)
