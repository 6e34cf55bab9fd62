"""The file operations of a run: counted, failed at a chosen one, and logged for power cuts.

They are failed from outside, by functions in place of those of `os` and `io`, since no real disk fails at will; that is
why this folder does what unit tests must not. What Rust writes by itself goes through one function of safetensors,
which counts as one write; `tokenizers`, which has none, is seen only when its file is synced.
"""

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
from safetensors import SafetensorError

Kind = Literal["kill", "torn", "ENOSPC", "EIO"]
KINDS: tuple[Kind, ...] = ("kill", "torn", "ENOSPC", "EIO")
WRITES = ("create", "write", "mkdir", "rename", "link")
"""Operations that a full disk refuses."""


@dataclass(frozen=True)
class Operation:
    """One operation: what, on which path, and the other path or the content where there is one."""

    what: str
    path: str
    to: str = ""
    content: bytes = b""


@dataclass
class Disk:
    """Stands between a process and the files under `root`; operation `nth` fails as `kind` says."""

    root: Path
    nth: int | None = None
    kind: Kind = "kill"
    is_logging: bool = False
    made: int = 0
    log: list[Operation] = field(default_factory=list)

    def begin(self, what: str, path: str, half: Callable[[], object] = lambda: None, to: str = "") -> None:
        """An operation is about to be made.

        Raises:
            OSError: it fails. A kill ends the process.
        """
        self.made += 1
        due = self.nth is not None and self.made >= self.nth
        if due and self.kind in ("kill", "torn") and self.made == self.nth:
            if self.kind == "torn":
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        if due and self.kind == "ENOSPC" and what in WRITES:
            half()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([] if what == "write" else [path]))
        if due and self.kind == "EIO" and self.made == self.nth:
            raise OSError(errno.EIO, os.strerror(errno.EIO), *([] if what in ("write", "fsync") else [path]))
        if self.is_logging and what != "fsync":
            self.log.append(Operation(what, path, to))

    def synced(self, path: str) -> None:
        """A file or folder is on the disk."""
        if self.is_logging:
            self.log.append(Operation("fsync", path, content=b"" if os.path.isdir(path) else Path(path).read_bytes()))

    def path_of(self, path: Any, dir_fd: int | None = None) -> str | None:
        """The absolute path, if it is under the root."""
        if isinstance(path, int):
            whole = os.readlink(f"/proc/self/fd/{path}")
        else:
            folder = os.getcwd() if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
            whole = os.path.normpath(os.path.join(folder, os.fsdecode(path)))
        return whole if whole.startswith(f"{self.root}{os.sep}") or whole == str(self.root) else None


class _RawFile(io.FileIO):
    """A file whose writes count."""

    disk: Disk
    whole: str

    def write(self, data: Any) -> int:
        self.disk.begin("write", self.whole, lambda: super(_RawFile, self).write(bytes(data)[: len(bytes(data)) // 2]))
        return super().write(data)


def install(disk: Disk) -> None:
    """Stand between this process and its files, for the rest of its run."""
    _install_open(disk)
    for name, what in {"mkdir": "mkdir", "rmdir": "rmdir", "unlink": "unlink", "remove": "unlink"}.items():
        setattr(os, name, _one(disk, getattr(os, name), what))
    for name, what in {"rename": "rename", "replace": "rename", "link": "link"}.items():
        setattr(os, name, _second(disk, getattr(os, name), what))
    real_fsync, real_write, real_truncate = os.fsync, os.write, os.ftruncate

    def fsync(file: Any) -> None:
        path = disk.path_of(file)
        if path is not None:
            disk.begin("fsync", path)
        real_fsync(file)
        if path is not None:
            disk.synced(path)

    def write(file: int, data: Any) -> int:
        path = disk.path_of(file)
        if path is not None:
            disk.begin("write", path, lambda: real_write(file, bytes(data)[: len(bytes(data)) // 2]))
        return real_write(file, data)

    def ftruncate(file: int, length: int) -> None:
        path = disk.path_of(file)
        if path is not None:
            disk.begin("truncate", path)
        real_truncate(file, length)

    os.fsync, os.write, os.ftruncate = fsync, write, ftruncate
    _install_safetensors(disk)


def _install_open(disk: Disk) -> None:
    real_io, real_os = io.open, os.open

    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
        path = None if isinstance(file, int) else disk.path_of(file)
        if path is None:
            return real_io(file, mode, buffering, *rest, **more)
        if not set(mode) & set("wax+"):
            disk.begin("read", path)
            return real_io(file, mode, buffering, *rest, **more)
        if "a" not in mode or not os.path.exists(path):
            disk.begin("create", path)
        raw = _RawFile(file, mode.replace("t", "").replace("b", ""))
        raw.disk, raw.whole = disk, path
        buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **more)

    def os_opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        whole = disk.path_of(path, dir_fd)
        if whole is not None and flags & os.O_CREAT and not os.path.exists(whole):
            disk.begin("create", whole)
        return real_os(path, flags, mode, dir_fd=dir_fd)

    io.open = builtins.open = opened  # type: ignore[assignment]
    os.open = os_opened


def _one(disk: Disk, real: Callable[..., Any], what: str) -> Callable[..., Any]:
    def done(path: Any, *rest: Any, dir_fd: int | None = None, **more: Any) -> Any:
        whole = disk.path_of(path, dir_fd)
        if whole is not None and (what != "mkdir" or not os.path.exists(whole)):
            disk.begin(what, whole, lambda: real(path, *rest, dir_fd=dir_fd, **more))
        return real(path, *rest, dir_fd=dir_fd, **more)

    return done


def _second(disk: Disk, real: Callable[..., Any], what: str) -> Callable[..., Any]:
    def done(source: Any, target: Any, **more: Any) -> None:
        path, to = disk.path_of(source), disk.path_of(target)
        if path is not None and to is not None:
            disk.begin(what, path, lambda: real(source, target, **more), to)
        real(source, target, **more)

    return done


def _install_safetensors(disk: Disk) -> None:
    """It writes beside its file, under a name of its own, and renames: a kill may leave that half behind."""
    real = safetensors.torch.serialize_file

    def serialize_file(tensors: Any, filename: Any, metadata: Any = None) -> None:
        path = disk.path_of(filename)
        if path is not None:

            def half() -> None:
                (Path(path).parent / ".tmpA1b2C3").write_bytes(b"half of it")

            try:
                disk.begin("write", path, half)
            except OSError as error:
                (Path(path).parent / ".tmpA1b2C3").unlink(missing_ok=True)
                raise SafetensorError(f"I/O error: {error.strerror} (os error {error.errno})") from error
        real(tensors, filename, metadata=metadata)
        if path is not None and disk.is_logging:
            disk.log.append(Operation("create", path))

    safetensors.torch.serialize_file = serialize_file
