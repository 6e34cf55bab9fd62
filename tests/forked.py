"""The command line in processes that are forked from one that has imported every library.

They have a process group, a directory, signals and exit codes of their own, as a user's have; the imports alone are
spared. The one they are forked from is started once a worker of pytest, so all tests that use it stand in `GROUP`.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

GROUP = pytest.mark.xdist_group("forked")
PRELOADED = [
    "tests.agent.killing",
    "torch._dynamo",
    "perdure.cli.main",
    "perdure.cli.commands.run",
    "perdure.cli.commands.show",
    "perdure.agent.worlds.language.methods.rl",
    "perdure.agent.worlds.language.trl.sft_trainer",
    "perdure.agent.worlds.vision.world",
]


def forkserver() -> ForkServerContext:
    """Starts processes that have imported all of `PRELOADED`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class Command:
    """`perdure ARGUMENTS` in a folder, begun. Its output goes into files, which are no terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._arguments = arguments
        self._output = tempfile.TemporaryDirectory()
        files = [str(Path(self._output.name) / name) for name in ("out", "err")]
        self._process = forkserver().Process(target=_main, args=(str(folder), arguments, files))
        self._process.start()

    @property
    def over(self) -> bool:
        """True once the process has ended."""
        return not self._process.is_alive()

    def interrupt(self) -> None:
        """Ctrl-C: the process and all that it started are sent SIGINT."""
        assert self._process.pid is not None
        os.killpg(self._process.pid, signal.SIGINT)

    def wait(self, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Its end, its output and its exit code."""
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            raise TimeoutError(f"perdure {' '.join(self._arguments)} took longer than {seconds:g} s")
        with self._output as folder:
            out, err = ((Path(folder) / name).read_text() for name in ("out", "err"))
        code = self._process.exitcode
        assert code is not None
        return subprocess.CompletedProcess(self._arguments, code, out, err)


def perdure(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`perdure ARGUMENTS` in a folder, to its end."""
    return Command(folder, *arguments).wait()


def _main(folder: str, arguments: tuple[str, ...], files: list[str]) -> None:
    os.setsid()
    os.chdir(folder)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.path.insert(0, "")
    sys.argv = ["perdure", *arguments]
    from perdure.cli.main import main

    main()
