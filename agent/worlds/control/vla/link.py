"""The near end of a worker: starts the process, asks it, and says in one message what became of it."""

import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.agent.worlds.control.vla import openvla_worker
from perdure.budget.errors import ModelError
from perdure.curriculum.messages import one_line
from perdure.curriculum.worlds.control.vla import Worker

PLACE = "model.policy"
LAST_LINES = 3
"""Lines of a dead worker's error output that are shown."""


class Link:
    """A worker process, which ends with this one. What it says to its terminal is kept in a file."""

    def __init__(self, config: Worker, script: Path = Path(openvla_worker.__file__)) -> None:
        """Start it.

        Raises:
            ModelError: the command cannot be run.
        """
        self._command, self._seconds = config.command, config.seconds
        self._pipe, far = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the worker)
        program = [str(Path(config.command[0]).expanduser()), *config.command[1:], str(script), str(far.fileno())]
        try:
            self._process = subprocess.Popen(
                program,
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                start_new_session=True,
            )
        except OSError as error:
            raise ModelError(
                f"{PLACE}.command: the worker's {program[0]!r} cannot be run ({one_line(error)}); docs/openvla.md says "
                "how to make its environment"
            ) from None
        finally:
            far.close()
        self._end = weakref.finalize(self, _end, self._process, self._pipe)

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The answer to one message.

        Raises:
            ModelError: the worker failed, died, or did not answer within the time limit, which ends it.
        """
        deadline = time.monotonic() + self._seconds
        self._pipe.settimeout(self._seconds)
        try:
            openvla_worker.send(self._pipe, dict(header), dict(arrays))
            found, kept = openvla_worker.receive(self._pipe, deadline)
        except TimeoutError:
            self._end()
            raise ModelError(
                f"{PLACE}: the worker gave no answer within {self._seconds:g} s ({PLACE}.seconds) and was ended"
                f"{self._last_lines()}"
            ) from None
        except (EOFError, OSError, ValueError):
            code = self._code()
            self._end()
            raise ModelError(f"{PLACE}: the worker died ({code}){self._last_lines()}") from None
        if "error" in found:
            raise ModelError(f"{PLACE}: the worker failed: {one_line(Exception(found['error']))}")
        return found, kept

    def close(self) -> None:
        """End the process."""
        self._end()

    def _code(self) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "it spoke no protocol"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _last_lines(self) -> str:
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        return f". Its last lines: {' | '.join(lines[-LAST_LINES:])}" if lines else ""


def _end(process: "subprocess.Popen[bytes]", pipe: socket.socket) -> None:
    pipe.close()
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def array(tensor: Any) -> NDArray[Any]:
    """A tensor as an array."""
    found: NDArray[Any] = np.ascontiguousarray(tensor.detach().cpu().numpy())
    return found
