"""Who carries out which cells, how many at a time, and what a device of theirs has to do with it."""

from pathlib import Path

import pytest

from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.runs import RunExecutor
from perdure.agent.sweep.stacks import GPU_STACK_SIZE, STACK_SIZE, StackExecutor
from perdure.agent.sweep.sweep import SweepPlan, _cores, executors, uses_gpu
from perdure.agent.worlds.vision.trainer import TRAINER
from perdure.curriculum.sweeps.reader import Cell, read_sweep

VISION = """\
model: {type: mlp, device: DEVICE}
budget: {kl: 1, enforce: observe}
strategy: {type: fixed, method: sft}
stages:
  - {name: a, task: {type: images, images: digits, rule: parity}}
"""
LANGUAGE = """\
model: {model_name_or_path: builtin:tiny, device: DEVICE}
budget: {kl: 1}
strategy: {type: fixed, method: sft}
stages:
  - {name: a, task: {type: reasoning_gym, dataset: chain_sum}}
"""
ENFORCED = "axes: [{name: how, path: budget.enforce, values: [observe, stop]}]\n"


def cells(folder: Path, text: str, device: str, sweep: str = "") -> tuple[Cell, ...]:
    (folder / "one.yaml").write_text(text.replace("DEVICE", device))
    (folder / "grid.yaml").write_text("curriculum: one.yaml\n" + sweep)
    return read_sweep(folder / "grid.yaml").cells


@pytest.mark.parametrize(
    ("text", "device", "there", "expected"),
    [
        # `auto` keeps a network of the vision world on the CPU, and puts a language model on a GPU if there is one.
        (VISION, "auto", True, False),
        (VISION, "cpu", True, False),
        (VISION, "cuda", True, True),
        (LANGUAGE, "auto", True, True),
        (LANGUAGE, "auto", False, False),
        (LANGUAGE, "cpu", True, False),
        (LANGUAGE, "cuda:1", True, True),
    ],
)
def test_whether_models_are_on_a_gpu(tmp_path: Path, text: str, device: str, there: bool, expected: bool) -> None:
    assert uses_gpu(cells(tmp_path, text, device), lambda: there) is expected


def test_stacks_and_runs_are_decided_on_apart(tmp_path: Path) -> None:
    # The first of each pair can be stacked; the second is stopped by its budget, and has to be a run.
    stacked_cpu, run_cpu = cells(tmp_path, VISION, "auto", ENFORCED)
    stacked_gpu, run_gpu = cells(tmp_path, VISION, "cuda", ENFORCED)
    folder = SweepFolder(tmp_path)
    many = _cores()
    for stacked, life, in_stacks, chunk, alone in (
        (stacked_cpu, run_cpu, many, STACK_SIZE, many),
        (stacked_gpu, run_cpu, 1, GPU_STACK_SIZE, many),
        (stacked_cpu, run_gpu, many, STACK_SIZE, 1),
    ):
        found = executors(folder, SweepPlan("grid", 2, "auto", (stacked, life)), [life, stacked])
        assert found == [
            (StackExecutor(TRAINER, 2, in_stacks, folder.log, chunk), [stacked]),
            (RunExecutor(folder, alone), [life]),
        ]


def test_the_number_of_workers_is_the_sweeps_own(tmp_path: Path) -> None:
    ((executor, _),) = executors(SweepFolder(tmp_path), SweepPlan("g", 2, 3, ()), cells(tmp_path, VISION, "cuda"))
    assert isinstance(executor, StackExecutor) and executor.processes == 3
