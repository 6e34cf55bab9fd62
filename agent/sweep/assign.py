"""Assigns the cells of a sweep to executors, and these to processes."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from perdure.agent.sweep.contract import Executor
from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.pools import LocalPool, Pool
from perdure.agent.sweep.ray_pool import RayPool
from perdure.agent.sweep.sweep import SweepPlan
from perdure.agent.worlds.registry import plugin_of
from perdure.budget.errors import ConfigError
from perdure.curriculum.sweeps.reader import Cell
from perdure.curriculum.sweeps.schema import RayWorkers


def gpu_count() -> int:
    """The number of GPUs that PyTorch sees."""
    import torch

    return torch.cuda.device_count()


def executors(
    folder: SweepFolder, plan: SweepPlan, cells: Sequence[Cell], gpus: Callable[[], int] = gpu_count
) -> list[tuple[Executor, list[Cell]]]:
    """A `StackExecutor` for cells that their world can train together, a `RunExecutor` for others and tracked ones.

    Raises:
        ConfigError: a cell names a GPU that is not there.
    """
    from perdure.agent.sweep.runs import RunExecutor
    from perdure.agent.sweep.stacks import GPU_STACK_SIZE, STACK_SIZE, StackExecutor

    found: list[tuple[Executor, list[Cell]]] = []
    single = list(cells)
    for world in dict.fromkeys(cell.curriculum.world for cell in cells):
        trainer = plugin_of(world).stack_trainer
        if trainer is None:
            continue
        of_world = [cell for cell in single if cell.curriculum.world == world]
        stacked = [
            cell for cell in of_world if not cell.curriculum.tracking and trainer.key(cell.curriculum) is not None
        ]
        if stacked:
            size = GPU_STACK_SIZE if uses_gpu(stacked, gpus) else STACK_SIZE
            if plan.predictors != "all":
                trainer = replace(trainer, train=partial(trainer.train, predictors=plan.predictors))
            stacks = StackExecutor(trainer, plan.checkpoints, _pool(folder, plan, stacked, gpus), size)
            found.append((stacks, stacked))
            single = [cell for cell in single if cell not in stacked]
    return [*found, *([(RunExecutor(folder, _pool(folder, plan, single, gpus)), single)] if single else [])]


def uses_gpu(cells: Sequence[Cell], gpus: Callable[[], int] = gpu_count) -> bool:
    """True if a model of the cells is on a GPU; imports torch only if that decides."""
    models = [cell.curriculum.model for cell in cells]
    if any(model.device.startswith("cuda") for model in models):
        return True
    return any(model.AUTO_IS_GPU and model.device == "auto" for model in models) and gpus() > 0


def _pool(folder: SweepFolder, plan: SweepPlan, cells: Sequence[Cell], gpus: Callable[[], int]) -> Pool:
    """The sweep's `workers`; for `auto` one process per CPU core, or per GPU if models are on one."""
    if isinstance(plan.workers, RayWorkers):
        _refuse_no_gpus(plan.workers, cells)
        return RayPool(plan.workers)
    if not uses_gpu(cells, gpus):
        return LocalPool(_cores() if plan.workers == "auto" else plan.workers, folder.log)
    dealt = gpus_for(cells, os.environ.get("CUDA_VISIBLE_DEVICES"), gpus())
    return LocalPool(max(len(dealt), 1) if plan.workers == "auto" else plan.workers, folder.log, dealt)


def gpus_for(cells: Sequence[Cell], visible: str | None, count: int) -> tuple[str, ...]:
    """The GPUs dealt to processes: the first `count` of `visible` (`CUDA_VISIBLE_DEVICES`), or else the first `count`.

    None if there is only one, or where a cell names the index of its GPU, which counts among all of them.

    Raises:
        ConfigError: a cell names a GPU that is not there.
    """
    named = {cell.id: cell.curriculum.model.device for cell in cells if cell.curriculum.model.device.startswith("cuda")}
    for cell, device in named.items():
        if int(device.partition(":")[2] or 0) >= count:
            raise ConfigError(f"cell {cell}: model.device: {device} is not there; PyTorch sees {count} GPUs here")
    if count < 2 or any(":" in device for device in named.values()):
        return ()
    return tuple(visible.split(",")[:count]) if visible else tuple(map(str, range(count)))


def _refuse_no_gpus(workers: RayWorkers, cells: Sequence[Cell]) -> None:
    wants = [cell for cell in cells if cell.curriculum.model.device.startswith("cuda")]
    if wants and not workers.num_gpus:
        raise ConfigError(
            f"cell {wants[0].id}: model.device is {wants[0].curriculum.model.device}, and a worker has no GPU: give "
            "workers.num_gpus"
        )


def _cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
