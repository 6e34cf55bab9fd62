"""The sandbox of bubblewrap (`bwrap`, 0.7 or later): namespaces of Linux, for machines without containers.

Inside there are Python and its standard library, the system's libraries, all read-only, and a small folder in memory.
There is no network, no other process, no environment and no capability. A user's sandbox is a user namespace of its
own. Root needs none: a number that no user has stands for each sandbox, so that the kernel counts its processes apart.
"""

import os
import re
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import printable
from perdure.curriculum.sandbox.config import BubblewrapConfig
from perdure.curriculum.sandbox.contract import Verdict
from perdure.curriculum.sandbox.process import MIB, Running, driver, limits_of, run_job
from perdure.curriculum.sandbox.seccomp import program

FIRST_VERSION = (0, 7)
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
FIRST_USER = 2**31
"""Users from here on are given to nobody, not to containers either."""


class Bubblewrap:
    """See `Sandbox`."""

    def __init__(self, config: BubblewrapConfig) -> None:
        self._config, self._running = config, Running()
        self._program = _find()
        self._filter = program()

    @property
    def workers(self) -> int:
        return self._config.workers or len(os.sched_getaffinity(0))

    def run(self, code: str, tests: str, timeout: float, slot: int = 0) -> Verdict:
        """See `Sandbox.run`."""
        limits = limits_of(self._config, timeout) | {"user": self._user(slot)}
        read, write = os.pipe()
        try:
            os.write(write, self._filter)
            os.close(write)
            job = {"code": code, "tests": tests, "limits": limits}
            command = [*self._command, "--seccomp", str(read), *_PYTHON]
            return run_job(self._running, command, job, timeout, pass_fds=[read])
        finally:
            os.close(read)

    def stop(self) -> None:
        self._running.stop()

    @cached_property
    def _command(self) -> list[str]:
        size = str(self._config.disk * MIB)
        users = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if _is_root() else ["--unshare-user"]
        return [
            *(self._program, *NAMESPACES, *users, "--die-with-parent", "--new-session", "--clearenv"),
            *("--hostname", "sandbox"),
            *(part for path in _readable() for part in _bound(path)),
            *("--dev", "/dev", "--perms", "1777", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
            *("--perms", "1777", "--size", size, "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"),
            *("--setenv", "PYTHONHASHSEED", "0", "--setenv", "LANG", "C.UTF-8"),
        ]

    @staticmethod
    def _user(slot: int) -> int | None:
        return FIRST_USER + os.getpid() % 2**24 * 64 + slot if _is_root() else None


_PYTHON = (os.path.realpath(sys.executable), "-B", "-P", "-s", "-S", "-c", driver())


def _is_root() -> bool:
    """True for the machine's root, of all users; root of a user namespace is as any user."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == ["0", "0", str(2**32 - 1)]


def _readable() -> list[str]:
    """The files that are there: the system's libraries, and Python with its own."""
    prefix = Path(sys.base_prefix)
    own = [prefix / "lib", prefix / "lib64", Path(os.path.realpath(sys.executable))]
    return [path for path in dict.fromkeys([*LIBRARIES, *map(str, own)]) if Path(path).exists()]


def _bound(path: str) -> list[str]:
    """The arguments that show a path, below folders that its user may go through, as root's may not be."""
    above = [str(folder) for folder in reversed(Path(path).parents)][1:]
    return [*(part for folder in above for part in ("--perms", "0755", "--dir", folder)), "--ro-bind", path, path]


def _find() -> str:
    """The program.

    Raises:
        ConfigError: there is none, or it is too old.
    """
    found = shutil.which("bwrap")
    remedy = "apt install bubblewrap, or leave out the reward `code_tests`"
    if sys.platform != "linux" or found is None:
        raise ConfigError(f"`sandbox.type: bubblewrap` needs Linux and the program `bwrap`, not found here; {remedy}")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    version = tuple(map(int, re.findall(r"\d+", said)[:2]))
    if version < FIRST_VERSION:
        raise ConfigError(f"`sandbox.type: bubblewrap` needs bubblewrap 0.7 or later; {found} is {printable(said)!r}")
    return found
