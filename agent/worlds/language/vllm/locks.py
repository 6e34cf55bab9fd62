"""Locks of vLLM servers: two runs of one user would take turns with their weights in one server.

They lie in a folder that nobody else can enter: `perdure` in `XDG_RUNTIME_DIR`, or where there is no such folder, as in
jobs of a cluster, in the user's cache (`XDG_CACHE_HOME`, by default `~/.cache`). That may be shared by machines, so a
server of this one is known by the machine's name. Runs of other users are not seen.
"""

import fcntl
import os
import socket
import stat
from hashlib import sha256
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from perdure.budget.errors import ModelError

THIS_MACHINE = ("localhost", "127.0.0.1", "0.0.0.0", "::1", "::")
"""Names of this machine: one server is reached by each of them."""

_LOCKS: dict[Path, TextIO] = {}
"""The locks that this process holds."""


def hold(url: str) -> None:
    """Hold a server for this process, until it ends.

    Raises:
        ModelError: another process of this user holds it; there can be no folder for locks.
    """
    if os.environ.get("RANK", "0") != "0":  # the first process of a run holds it for all
        return
    path = lock_of(url)
    if path in _LOCKS:
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    file = os.fdopen(descriptor, "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ModelError(
            f"the vLLM server {url} is in use by another run of this machine, and holds the weights of one; give each "
            "run a server of its own, or a sweep `workers: 1`"
        ) from None
    _LOCKS[path] = file


def lock_of(url: str) -> Path:
    """The file that the process which uses a server holds; its folder is made.

    Raises:
        ModelError: the folder cannot be made, or is not the user's own.
    """
    parts = urlsplit(url)
    host = socket.gethostname().lower() if parts.hostname in THIS_MACHINE else parts.hostname
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return _folder() / f"vllm-{sha256(f'{host}:{port}{parts.path}'.encode()).hexdigest()[:16]}.lock"


def _folder() -> Path:
    runtime, cache = os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("XDG_CACHE_HOME")
    runtime = runtime if runtime and Path(runtime).is_dir() else None
    folder = Path(runtime or cache or Path.home() / ".cache") / "perdure"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise ModelError(f"no folder for locks of vLLM servers: {error}; set XDG_CACHE_HOME to one of yours") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ModelError(
            f"the folder for locks of vLLM servers, {folder}, is not yours alone: make it a folder of yours that "
            "others cannot write (chmod 700)"
        )
    return folder
