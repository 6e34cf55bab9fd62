"""The sandbox of containers, by the command of podman: one for each answer, of an image on this machine."""

import os
import secrets
import shutil
import subprocess

from perdure.budget.errors import ConfigError
from perdure.curriculum.sandbox.config import PodmanConfig
from perdure.curriculum.sandbox.contract import PATIENCE, Verdict
from perdure.curriculum.sandbox.process import MIB, Running, driver, limits_of, run_job
from perdure.curriculum.sandbox.seccomp import program

PYTHON = ("python3", "-B", "-s", "-S", "-c")
NOBODY = "65534:65534"
MOST_OF_NOBODY = "1024:1024"
"""Processes that the user may have in all containers; `--pids-limit` counts those of one."""


SECONDS_TO_END = 20
"""A container ends by its own clock (`driver.py`), and is then taken apart."""


class Podman:
    """See `Sandbox`."""

    def __init__(self, config: PodmanConfig) -> None:
        self._config, self._running = config, Running()
        found = shutil.which("podman")
        if found is None:
            raise ConfigError(
                "`sandbox.type: podman` needs the program `podman`, not found here; install it, or take "
                "`sandbox: {type: bubblewrap}`"
            )
        self._program, self._filter = found, program().hex()

    @property
    def workers(self) -> int:
        return self._config.workers or os.cpu_count() or 1

    def run(self, code: str, tests: str, timeout: float, slot: int = 0) -> Verdict:
        """See `Sandbox.run`. A container that has not ended by itself is removed."""
        name, ended = f"perdure-{secrets.token_hex(8)}", False
        limits = limits_of(self._config, timeout) | {"processes": None, "clock": PATIENCE * timeout}
        try:
            job = {"code": code, "tests": tests, "limits": limits, "filter": self._filter}
            verdict = run_job(
                self._running, self._command(name), job, timeout, dict(os.environ), seconds_to_end=SECONDS_TO_END
            )
            ended = not verdict.why
        finally:
            if not ended:
                subprocess.run([self._program, "rm", "--force", name], capture_output=True, check=False)
        return verdict

    def stop(self) -> None:
        self._running.stop()

    def _command(self, name: str) -> list[str]:
        config, size = self._config, self._config.disk * MIB
        memory = str((config.memory * config.processes + 2 * config.disk) * MIB)
        return [
            *(self._program, "run", "--rm", "--interactive", "--name", name, "--pull", "never"),
            *("--network", "none", "--ipc", "none", "--hostname", "sandbox", "--user", NOBODY),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--read-only", "--tmpfs", f"/tmp:rw,nosuid,nodev,size={size},mode=1777", "--workdir", "/tmp"),
            *("--memory", memory, "--memory-swap", memory, "--pids-limit", str(config.processes + 1)),
            *("--ulimit", "nofile=64:64", "--ulimit", f"nproc={MOST_OF_NOBODY}", "--ulimit", "core=0:0"),
            *("--env", "PYTHONHASHSEED=0", config.image, *PYTHON, driver()),
        ]
