"""Two processes train one run: started once, they carry out several commands, and one process trains the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_record
from perdure.agent.run.steps import read_steps
from perdure.agent.weights import read_tensors
from perdure.cli.commands.run import run_command
from tests.agent.killing import save_base
from tests.agent.several.curricula import ALIKE, SAMPLING, curriculum, write

RUN = "torch.distributed.run"
pytestmark = pytest.mark.xdist_group("several")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs by two processes (`two`) and by one (`one`)."""
    folder = tmp_path_factory.mktemp("several")
    save_base(base := folder / "base")
    two = write(folder / "two.yaml", curriculum(base, ALIKE | SAMPLING, 4))
    commands = [
        ["run", str(two), "--output-dir", str(folder / "two")],
        ["run", str(two), "--output-dir", str(folder / "two")],
    ]
    (folder / "jobs").write_text("\n".join("\t".join(one) for one in commands))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            RUN,
            "--standalone",
            "--nproc_per_node",
            "2",
            "-m",
            "tests.agent.several",
            folder / "jobs",
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    alone = write(folder / "one.yaml", curriculum(base, ALIKE, 8))
    run_command(str(alone), folder / "one", None, [], None, plain=True, strict=False)
    try:
        (folder / "said").write_text(process.communicate(timeout=250)[0])
    finally:
        process.terminate()  # which ends the two as well
    return folder


def weights(run: Path, number: int, method: str) -> Tensor:
    """All weights after a stage, in one row."""
    name = f"{number:02d}-{method.replace('+', '-')}"
    found = read_tensors(run / "stages" / name / "policy" / "model.safetensors")
    return torch.cat([found[key].flatten().double() for key in sorted(found)])


def test_every_command_ends_alike_in_both_processes(folder: Path) -> None:
    codes = {(folder / f"jobs.{rank}").read_text() for rank in (0, 1)}
    assert codes == {"0 1"}, (folder / "said").read_text()


def test_every_objective_is_learned_as_by_one_process(folder: Path) -> None:
    """Twice four items are the eight of one process: the weights after each stage differ by rounding alone.

    A term that counted twice, or half, would move them by a tenth of their way at least.
    """
    before = weights(folder / "one", 1, "sft+l2") * 0
    for number, method in enumerate(ALIKE, 1):
        one, two = weights(folder / "one", number, method), weights(folder / "two", number, method)
        moved = (one - before).norm()
        assert moved > 0
        assert (one - two).norm() < 0.01 * moved, method
        before = one


def test_there_is_one_journal_and_one_record_of_the_steps(folder: Path) -> None:
    state, events = read_record(RunFolder(folder / "two"))
    assert state.status == "finished"
    assert len([event for event in events if type(event).__name__ == "Committed"]) == 1 + len(ALIKE) + len(SAMPLING)
    steps = read_steps(folder / "two")
    assert list(steps["step"]) == [1, 2] * (len(ALIKE) + len(SAMPLING))
    assert steps["loss"].notna().all()


def test_it_is_said_once(folder: Path) -> None:
    said = (folder / "said").read_text()
    assert said.count("run two") == 1
    assert said.count("exists; choose another --output-dir") == 1
