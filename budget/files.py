"""Files that are there whole or not at all. Standard library only, so that every room can use it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The ways an operating system says that there is no room: the disk, the user's quota, the limit of one file."""


def write_whole(path: Path, data: bytes, *, durable: bool = True, shared: bool = False) -> None:
    """Write one file, whole or not at all; the settings are those of `written_whole`.

    Raises:
        OSError: the disk is full, for one; what was at `path` before is still there then.
    """
    with written_whole(path, durable=durable, shared=shared) as partial:
        partial.write_bytes(data)


@contextmanager
def written_whole(path: Path, *, durable: bool = True, shared: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its name when the block ends, and is removed if the block fails.

    Args:
        path: the file to write; its folder must exist.
        durable: wait until the content and the name are on the disk, so that a power cut leaves them.
        shared: other processes may be writing the same file. Each then writes its own; a kill leaves it behind, where
            the next write would else have overwritten it.
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
    """Whether an error says that there is no room; safetensors tells it in words only."""
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    is_safetensors = type(error).__name__ == "SafetensorError"
    return is_safetensors and any(f"(os error {number})" in str(error) for number in NO_SPACE)
