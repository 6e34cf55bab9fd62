"""Who carries out which cells, how many at a time, and what a device of theirs has to do with it."""

import json
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.sweep.assign import _cores, executors, gpus_for, uses_gpu
from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.pools import LocalPool
from perdure.agent.sweep.processes import free_number, gpu_of
from perdure.agent.sweep.ray_pool import RayPool, refuse_no_room, refuse_silence
from perdure.agent.sweep.runs import RunExecutor
from perdure.agent.sweep.stacks import GPU_STACK_SIZE, STACK_SIZE, StackExecutor
from perdure.agent.sweep.sweep import SweepPlan
from perdure.agent.worlds.vision.trainer import TRAINER
from perdure.budget.errors import ConfigError
from perdure.curriculum.sweeps.reader import Cell, read_sweep
from perdure.curriculum.sweeps.schema import RayWorkers

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
        found = executors(folder, SweepPlan("grid", 2, "auto", (stacked, life)), [life, stacked], lambda: 1)
        assert found == [
            (StackExecutor(TRAINER, 2, LocalPool(in_stacks, folder.log), chunk), [stacked]),
            (RunExecutor(folder, LocalPool(alone, folder.log)), [life]),
        ]


def test_a_sweep_of_divergences_alone_tells_its_trainer(tmp_path: Path) -> None:
    plan = SweepPlan("g", 2, 3, (), "divergences")
    ((executor, _),) = executors(SweepFolder(tmp_path), plan, cells(tmp_path, VISION, "cpu"), lambda: 0)
    assert isinstance(executor, StackExecutor)
    assert isinstance(executor.trainer.train, partial)
    assert executor.trainer.train.func == TRAINER.train
    assert executor.trainer.train.keywords == {"predictors": "divergences"}


def test_the_number_of_workers_is_the_sweeps_own(tmp_path: Path) -> None:
    plan = SweepPlan("g", 2, 3, ())
    ((executor, _),) = executors(SweepFolder(tmp_path), plan, cells(tmp_path, VISION, "cuda"), lambda: 1)
    assert isinstance(executor, StackExecutor) and executor.pool == LocalPool(3, tmp_path / "workers.log")


RAY = {"type": "ray", "address": "local", "num_cpus": 1}


@pytest.mark.parametrize(
    ("device", "visible", "count", "expected"),
    [
        ("cuda", None, 3, ("0", "1", "2")),
        ("auto", "4,6,7", 3, ("4", "6", "7")),
        ("auto", "GPU-aa,GPU-bb", 2, ("GPU-aa", "GPU-bb")),
        ("auto", None, 1, ()),  # a single one needs no dealing
        ("cuda:1", None, 3, ()),  # an index counts among all of them
    ],
)
def test_gpus_are_dealt_to_processes(
    tmp_path: Path, device: str, visible: str | None, count: int, expected: tuple[str, ...]
) -> None:
    assert gpus_for(cells(tmp_path, LANGUAGE, device), visible, count) == expected


def test_worker_k_has_gpu_k_also_in_the_place_of_a_dead_one() -> None:
    taken: list[list[int]] = [[], [0], [1], [0, 1]]
    assert [gpu_of(free_number(numbers), ("4", "6")) for numbers in taken] == ["4", "6", "4", "4"]
    assert gpu_of(0, ()) is None


@pytest.mark.parametrize(("workers", "count", "expected"), [("auto", 4, 4), (2, 4, 2), ("auto", 1, 1)])
def test_one_process_a_gpu_unless_the_sweep_says_otherwise(
    tmp_path: Path, workers: Any, count: int, expected: int
) -> None:
    some = cells(tmp_path, LANGUAGE, "auto")
    ((found, _),) = executors(SweepFolder(tmp_path), SweepPlan("g", 2, workers, ()), some, lambda: count)
    assert isinstance(found, RunExecutor) and isinstance(found.pool, LocalPool)
    assert (found.pool.processes, len(found.pool.gpus)) == (expected, 4 if count == 4 else 0)


@pytest.mark.parametrize(("device", "count"), [("cuda", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, device: str, count: int) -> None:
    plan = SweepPlan("g", 2, "auto", ())
    with pytest.raises(ConfigError, match=rf"cell 0001: model.device: {device} is not there; PyTorch sees {count}"):
        executors(SweepFolder(tmp_path), plan, cells(tmp_path, LANGUAGE, device), lambda: count)


def test_ray_runs_cells_where_the_sweep_says_so(tmp_path: Path) -> None:
    some = cells(tmp_path, LANGUAGE, "auto", f"workers: {json.dumps(RAY)}\n")
    workers = read_sweep(tmp_path / "grid.yaml").sweep.workers
    assert workers == RayWorkers(type="ray", address="local", num_cpus=1, num_gpus=0)
    plan = SweepPlan("g", 2, workers, ())
    ((found, _),) = executors(SweepFolder(tmp_path), plan, some, lambda: 0)
    assert isinstance(found, RunExecutor) and found.pool == RayPool(workers)
    with pytest.raises(ConfigError, match=r"cell 0001: model\.device is cuda, and a worker has no GPU"):
        executors(SweepFolder(tmp_path), plan, cells(tmp_path, LANGUAGE, "cuda"), lambda: 0)


def test_workers_that_no_cluster_has_room_for_are_refused() -> None:
    workers = RayWorkers(type="ray", num_cpus=4, num_gpus=1)
    refuse_no_room(workers, {"CPU": 4, "GPU": 1})
    there: dict[str, float]
    for there, message in (({"CPU": 2, "GPU": 1}, "num_cpus: a worker asks for 4"), ({"CPU": 8}, "has 0 GPUs")):
        with pytest.raises(ConfigError, match=message):
            refuse_no_room(workers, there)


def test_an_address_at_which_nothing_answers_is_refused_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"nothing answers at '{address}'"):
            refuse_silence(address)
    refuse_silence("auto")
