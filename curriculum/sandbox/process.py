"""Runs one job in a process that a sandbox's command starts, watches the clock, and reads its verdict."""

import json
import math
import os
import secrets
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import printable
from perdure.curriculum.sandbox.config import SandboxSettings
from perdure.curriculum.sandbox.contract import CRASHED, OUT_OF_MEMORY, PATIENCE, TOO_SLOW, Verdict

SECONDS_TO_START = 60
MIB = 2**20
MOST = 1000
"""Bytes that a job may report; the driver writes less than a hundred."""
VERDICTS = {"passed": Verdict(True), "wrong": Verdict(False), "memory": Verdict(False, OUT_OF_MEMORY)}
OUT_OF_TIME = 128 + signal.SIGXCPU
"""The exit code of a command whose process computed too long."""


@dataclass
class Running:
    """The processes of one sandbox, so that they can be killed from another thread."""

    _live: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def start(self, command: Sequence[str], **settings: Any) -> subprocess.Popen[bytes]:
        """A process of its own session."""
        with self._lock:
            process = subprocess.Popen(command, start_new_session=True, **settings)
            self._live.add(process)
            return process

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Kill what is left of a process and give its exit code."""
        with self._lock:
            self._live.discard(process)
        _kill(process)
        return process.wait()

    def stop(self) -> None:
        """Kill all."""
        with self._lock:
            for process in self._live:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@cache
def driver() -> str:
    """The text of `driver.py`."""
    return Path(__file__).with_name("driver.py").read_text(encoding="utf-8")


def limits_of(config: SandboxSettings, timeout: float) -> dict[str, Any]:
    """The limits for `driver.py`: whole seconds, bytes, and a number of processes."""
    return {
        "cpu": math.ceil(timeout),
        "memory": config.memory * MIB,
        "processes": config.processes,
        "disk": config.disk * MIB,
    }


def run_job(
    running: Running,
    command: Sequence[str],
    job: dict[str, Any],
    timeout: float,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    seconds_to_end: float = 1,
) -> Verdict:
    """Run a command that reads a job of `driver.py`, and give its verdict.

    It has `seconds_to_end` beyond its time to end by itself, before it is killed.

    Raises:
        ConfigError: the command ended, or a minute passed, before the driver began.
    """
    token = secrets.token_hex(16)
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as faults:
        asked.write(json.dumps({**job, "token": token}).encode())
        asked.seek(0)
        process = running.start(
            command, stdin=asked, stdout=subprocess.PIPE, stderr=faults, env=environment or {}, pass_fds=tuple(pass_fds)
        )
        said: bytes | None = b""
        try:
            said = _heard(process, PATIENCE * timeout + seconds_to_end, f"{token} started\n".encode())
        finally:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0 if said is None else seconds_to_end)
            code = running.end(process)
            assert process.stdout is not None
            process.stdout.close()
        faults.seek(0)
        return _verdict(said, token, code, faults.read(MOST).decode(errors="replace"))


def _heard(process: subprocess.Popen[bytes], seconds: float, started: bytes) -> bytes | None:
    """The output until its second line or its end; `None` if the time is up first."""
    assert process.stdout is not None
    said, end = b"", time.monotonic() + SECONDS_TO_START
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0, end - time.monotonic())):
            part = os.read(process.stdout.fileno(), MOST)
            if said == b"" and part:
                end = time.monotonic() + seconds
            said += part
            if not part or len(said) > MOST or said.count(b"\n") > 1:
                return said
    return None if said.startswith(started) else b""


def _verdict(said: bytes | None, token: str, code: int, faults: str) -> Verdict:
    if said is None:
        return Verdict(False, TOO_SLOW)
    first, _, rest = said.decode(errors="replace").partition("\n")
    if first != f"{token} started":
        why = printable((faults.strip().splitlines() or [f"exit code {code}"])[0])
        raise ConfigError(f"the sandbox could not be started: {why}")
    verdict = VERDICTS.get(rest.strip().removeprefix(f"{token} "))
    if verdict is not None and rest.startswith(token):
        return verdict
    return Verdict(False, TOO_SLOW if code == OUT_OF_TIME else CRASHED)
