"""Starts, asks and kills the processes that rewards run in (`worker.py`).

perdure's own verifiers share one process in each process of a run; users' functions share one for each directory and
search path, which ends with the last of them. A process that died is replaced when it is next asked.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakValueDictionary, finalize

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.language.rewards.worker import encode

_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from perdure.curriculum.worlds.language.rewards.worker import main
main(int(sys.argv[2]), int(sys.argv[3]))
"""


class DiedError(Exception):
    """The process ended while it was asked: `late` for the time that it took, or `killed` by someone else."""

    def __init__(self, how: str, *, late: bool = False, killed: bool = False) -> None:
        super().__init__(how)
        self.how, self.late, self.killed = how, late, killed


class RewardProcess:
    """One process, and the recipes of the rewards that were made there. Hold `lock` from the question to its replies.

    `quiet`: it is perdure's own code that runs there, so that nothing that it prints is shown.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.lock = RLock()
        self._quiet, self._path = quiet, list(sys.path)
        self._process: subprocess.Popen[bytes] | None = None
        self._made: list[str] = []
        self._asked: list[str] = []
        self._read = b""

    def make(self, recipe: str) -> None:
        """Asks for a reward; it is made while the run goes on."""
        with self.lock:
            if self._process is None:
                self._start()
            if recipe not in (*self._made, *self._asked):
                self._asked.append(recipe)
                self.send("make", recipe)

    def wait(self, recipe: str) -> None:
        """Wait until a reward is made.

        Raises:
            ConfigError: it cannot be made; says why.
        """
        with self.lock:
            for last in (False, True):
                try:
                    self.make(recipe)
                    faults = self._read_made()
                except DiedError as death:
                    self.stop()
                    if last:
                        raise ConfigError(f"the process that makes the reward ended: {death.how}") from None
                else:
                    if recipe in faults:
                        raise ConfigError(faults[recipe])
                    return

    def _read_made(self) -> dict[str, str]:
        """Reads the replies that are still to come, and gives the faults: they come before those to later questions."""
        faults = {}
        while self._asked:
            fault = self.receive(None)
            recipe = self._asked.pop(0)
            if fault is None:
                self._made.append(recipe)
            else:
                faults[recipe] = fault
        return faults

    def send(self, *request: Any, limit: float | None = None) -> None:
        """Send a request. Raises `DiedError` if the process cannot take it."""
        data = encode(request)
        try:
            self._socket.settimeout(limit)
            self._socket.sendall(len(data).to_bytes(8) + data)
        except OSError as error:
            raise self._death(error) from None

    def receive(self, limit: float | None) -> Any:
        """The next reply. Raises `DiedError` if there is none within `limit` seconds."""
        try:
            self._socket.settimeout(limit)
            while b"\n" not in self._read:
                part = self._socket.recv(1 << 16)
                if not part:
                    raise ConnectionResetError
                self._read += part
        except OSError as error:
            raise self._death(error) from None
        line, _, self._read = self._read.partition(b"\n")
        return json.loads(line)

    def stop(self) -> None:
        """Kill the process, and any that it started."""
        if self._process is not None:
            self._ended()
            self._process, self._made, self._asked = None, [], []

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._read = b""
        few = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} if self._quiet else {}
        arguments = [json.dumps(self._path), str(theirs.fileno()), str(os.getpid())]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if self._quiet else None,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is the run's to handle
                env={**os.environ, **few},
            )
        self._ended = finalize(self, _end, self._process, self._socket, os.getpid())

    def _death(self, error: OSError) -> DiedError:
        assert self._process is not None
        if isinstance(error, TimeoutError):
            return DiedError("it took too long", late=True)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        if code is None or code >= 0:
            return DiedError(f"exit code {code}")
        how = signal.strsignal(-code) or f"signal {-code}"
        return DiedError(how, late=code == -signal.SIGPROF, killed=code == -signal.SIGKILL)


def _end(process: subprocess.Popen[bytes], connection: socket.socket, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the run
        return
    connection.close()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


_VERIFIERS: dict[int, RewardProcess] = {}
_FUNCTIONS: WeakValueDictionary[tuple[Any, ...], RewardProcess] = WeakValueDictionary()


def verifiers() -> RewardProcess:
    """The process of perdure's own verifiers."""
    return _VERIFIERS.setdefault(os.getpid(), RewardProcess(quiet=True))


def functions() -> RewardProcess:
    """The process of users' functions that are found from the current directory."""
    key = (os.getpid(), Path.cwd(), *sys.path)
    found = _FUNCTIONS.get(key)
    if found is None:
        found = _FUNCTIONS[key] = RewardProcess(quiet=False)
    return found
