"""The runs that are damaged: small ones of each world, begun, resumed and read through the commands, each in a fork."""

import gc
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import perdure.agent.loop
import perdure.agent.setup
import perdure.agent.worlds.vision.world
import perdure.cli.commands.law
import perdure.cli.commands.resume
import perdure.cli.commands.run
import perdure.cli.commands.show
from perdure.agent.run.events import Measured
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_record
from perdure.agent.run.steps import read_steps
from perdure.cli.errors import guarded
from tests.agent.scalar_run import in_memory
from tests.faults.operations import Disk, install


def _images(rule: str) -> dict[str, Any]:
    return {"type": "images", "images": "digits", "rule": rule, "writer": "two", "train": 32, "heldout": 8}


VISION: dict[str, Any] = {
    "model": {"type": "mlp", "hidden_sizes": [4], "pretrain": {"images": 20, "num_train_epochs": 1}},
    "budget": {"kl": 0.02, "enforce": "project", "every": 2, "num_prompts": 8},
    "strategy": {"type": "fixed", "method": "sft"},
    "train": {"learning_rate": 0.05, "max_steps": 4, "per_device_train_batch_size": 16},
    "stages": [
        {"name": "parity", "method": "sft", "task": _images("parity")},
        {"name": "prime", "method": "rl", "task": _images("prime")},
    ],
    "benchmarks": [{"type": "task", "name": "small", "task": _images("at_least_five")}],
}
"""Two stages, both projected back to the cap, so that every kind of file is written."""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative after a signal, and what it wrote to stderr."""

    code: int
    words: str

    @property
    def in_words(self) -> bool:
        """True if it was done or refused in words: no traceback, and no fault of ours."""
        return self.code == 0 or (self.code in (1, 130) and bool(self.words) and "Traceback" not in self.words)


def forked(command: Callable[[], object], place: Path) -> Ended:
    """Run a command of the command line in a fork of this process."""
    said = place / "stderr"
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return Ended(os.waitstatus_to_exitcode(status), said.read_text(errors="replace"))
    code = 99
    try:
        out, err = os.open(os.devnull, os.O_WRONLY), os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(n, "w"), write_through=True) for n in (1, 2))
        torch.set_num_threads(1)
        code = guarded(command)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def began_or_resumed(curriculum: Path, run: Path, disk: Disk | None = None) -> Callable[[], None]:
    """`perdure run` where there is no run yet, else `perdure resume`, with a disk between."""

    def command() -> None:
        if disk is not None:
            install(disk)
        if run.exists():
            perdure.cli.commands.resume.resume_command(run, plain=True)
        else:
            perdure.cli.commands.run.run_command(str(curriculum), run, None, [], None, plain=True, strict=False)

    return command


def outcome(run: Path) -> list[Any]:
    """What a run came to, without its times."""
    state, _ = read_record(RunFolder(run))
    steps = read_steps(run).drop(columns="time").to_json()
    return [state.status, steps] + [
        (row.name, row.method, row.steps, _untimed(row.readings), row.scores, row.ends, row.weights_sha256)
        for row in state.rows
    ]


def _untimed(readings: tuple[Measured, ...]) -> str:
    return repr([replace(reading, time=0.0, clock=None) for reading in readings])


def litter(run: Path) -> list[str]:
    """Files that no finished run has."""
    found = [path for pattern in ("*.partial*", ".tmp*", "checkpoints") for path in run.rglob(pattern)]
    return [str(path.relative_to(run)) for path in (*found, *run.parent.glob(f".{run.name}.*"))]


@dataclass(frozen=True)
class Rehearsal:
    """A place for runs of one curriculum, and what an undisturbed one came to."""

    place: Path
    curriculum: Path
    outcome: list[Any]

    @property
    def whole(self) -> Path:
        """The run that nothing disturbed."""
        return self.place / "whole"

    def lost(self, run: Path) -> str | None:
        """Resume a run: `None` if it ends as the undisturbed one did, and leaves nothing behind."""
        shown = forked(lambda: perdure.cli.commands.show.show_command(run, False), self.place)
        if run.exists() and not shown.in_words:
            return f"show: exit {shown.code}: {shown.words[-300:]}"
        ended = forked(began_or_resumed(self.curriculum, run), self.place)
        if ended.code != 0:
            return f"resume: exit {ended.code}: {ended.words[-300:]}"
        if outcome(run) != self.outcome:
            return "another outcome"
        return f"left behind: {litter(run)}" if litter(run) else None


@contextmanager
def rehearsal(curriculum: Callable[[Path], dict[str, Any]] = lambda place: VISION) -> Iterator[Rehearsal]:
    """The undisturbed run, in a folder that is gone afterwards, which may hold more that the curriculum needs."""
    with in_memory() as place:
        file = place / "curriculum.yaml"
        file.write_text(json.dumps(curriculum(place)))
        torch.set_num_threads(1)
        with redirect_stdout(io.StringIO()):  # in this process, so that no fork imports or loads anything anew
            began_or_resumed(file, place / "whole")()
            perdure.cli.commands.show.show_command(place / "whole", False)
        gc.freeze()
        yield Rehearsal(place, file, outcome(place / "whole"))


def spread(cases: list[Any], limit: int | None) -> list[Any]:
    """At most `limit` cases, evenly from all."""
    if limit is None or limit >= len(cases):
        return cases
    return [cases[index * len(cases) // limit] for index in range(limit)]
