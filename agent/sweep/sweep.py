"""A sweep from its first cell to its table: what is done is in the folder, and is not done again."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from perdure.agent.run.folder import RunFolder, full_disk_explained, write_json
from perdure.agent.setup import differences, versions
from perdure.agent.sweep.contract import Executor, Failed, Finished
from perdure.agent.sweep.folder import SweepFolder, clear_leftovers, create, locked, read_description, write_description
from perdure.agent.sweep.stacks import Trainer
from perdure.agent.worlds.registry import plugin_of
from perdure.budget.errors import RunError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell, ReadSweep

FORMAT = 1
TOLD = 10


@dataclass(frozen=True)
class Plan:
    """All that a sweep folder says of its sweep."""

    name: str
    checkpoints: int
    workers: int | Literal["auto"]
    cells: tuple[Cell, ...]

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The values of each axis, cell by cell."""
        return {name: [cell.values[name] for cell in self.cells] for name in self.cells[0].values}


class View(Protocol):
    """Someone who looks on."""

    def begin(self, plan: Plan, done: int) -> None: ...

    def cell(self, outcome: Finished | Failed) -> None: ...


Assign = Callable[[SweepFolder, Plan, Sequence[Cell]], Sequence[tuple[Executor, Sequence[Cell]]]]
"""Who carries out which cells."""


def begin(read: ReadSweep, path: Path) -> SweepFolder:
    """The folder of a sweep: a new one, or that of the same sweep, begun before, which takes over what may change.

    Raises:
        RunError: something else is there, of another sweep the differences are named; or it is in use.
        DiskFullError: no space left.
    """
    description = _description(read)
    folder = SweepFolder(path)
    if not folder.description.is_file():
        return create(path, description)
    begun = read_description(folder)
    _refuse_differences(folder, begun, description)
    if begun != description:
        with locked(folder), full_disk_explained(RunFolder(path)):
            write_description(folder, description)
    return folder


def read_plan(folder: SweepFolder) -> Plan:
    """What a sweep folder is to become.

    Raises:
        RunError: it was begun with other versions (the difference is named), or its `sweep.json` cannot be read.
    """
    begun = read_description(folder)
    _refuse_differences(folder, begun, {"format": FORMAT, "versions": versions()})
    try:
        cells = tuple(_cell(described) for described in begun["cells"])
        return Plan(begun["name"], begun["checkpoints"], begun["workers"], cells)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder.description} is not one that this version can read: {error!r}") from error


def waiting(folder: SweepFolder, plan: Plan) -> list[Cell]:
    """The cells that are not finished; those that failed are tried again."""
    return [cell for cell in plan.cells if not folder.rows(cell.id).exists()]


def carry_out(folder: SweepFolder, plan: Plan, assign: Assign, view: View) -> None:
    """Everything that is left of a sweep, and then the table. The caller holds the lock.

    A table of before is removed first: as long as there is none, the sweep is not finished.

    Raises:
        DiskFullError: no space left; what is finished stays.
        KeyboardInterrupt: the user stopped it; what is finished stays, and lives have saved their state.
    """
    from perdure.agent.sweep.results import collect, write_cell, write_results

    axes = plan.axes
    with full_disk_explained(RunFolder(folder.path)):
        clear_leftovers(folder)
        folder.results.unlink(missing_ok=True)
        left = waiting(folder, plan)
        view.begin(plan, len(plan.cells) - len(left))
        for executor, cells in assign(folder, plan, left):
            for outcome in executor.run(cells):
                if isinstance(outcome, Finished):
                    write_cell(folder, outcome, plan.name, axes)
                    folder.failure(outcome.cell.id).unlink(missing_ok=True)
                else:
                    told = {"cell": outcome.cell.id, "reason": outcome.reason, "details": outcome.details}
                    write_json(folder.failure(outcome.cell.id), told)
                view.cell(outcome)
        table = collect(folder, [cell.id for cell in plan.cells], plan.name)
        if table is not None:
            write_results(folder, table)


def executors(folder: SweepFolder, plan: Plan, cells: Sequence[Cell]) -> list[tuple[Executor, list[Cell]]]:
    """Stacks for the cells that their world can train together, a pool of runs for all others."""
    from perdure.agent.sweep.runs import Pool
    from perdure.agent.sweep.stacks import CHUNK, GPU_CHUNK, Stacked

    found: list[tuple[Executor, list[Cell]]] = []
    alone = list(cells)
    for world in dict.fromkeys(cell.curriculum.world for cell in cells):
        trainer = plugin_of(world).stack_trainer
        together = [] if trainer is None else [cell for cell in alone if _stacks(trainer, world, cell)]
        if trainer is not None and together:
            chunk = GPU_CHUNK if on_gpu(together) else CHUNK
            found.append((Stacked(trainer, plan.checkpoints, _workers(plan, together), folder.log, chunk), together))
            alone = [cell for cell in alone if cell not in together]
    return [*found, *([(Pool(folder, _workers(plan, alone)), alone)] if alone else [])]


def _stacks(trainer: Trainer, world: str, cell: Cell) -> bool:
    return cell.curriculum.world == world and trainer.key(cell.curriculum) is not None


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def on_gpu(cells: Sequence[Cell], there_is_one: Callable[[], bool] = _cuda) -> bool:
    """Whether any model of the cells is on a GPU; torch is asked only where `device: auto` may be one."""
    models = [cell.curriculum.model for cell in cells]
    if any(model.device.startswith("cuda") for model in models):
        return True
    return any(model.AUTO_IS_GPU and model.device == "auto" for model in models) and there_is_one()


def _workers(plan: Plan, cells: Sequence[Cell]) -> int:
    """As many as the sweep says; else one a CPU core, or a single one where models are on a GPU."""
    return plan.workers if isinstance(plan.workers, int) else 1 if on_gpu(cells) else _cores()


def _cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _description(read: ReadSweep) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": read.name,
        "file": str(read.source.absolute()),
        "checkpoints": read.sweep.checkpoints,
        "workers": read.sweep.workers,
        "versions": versions(),
        "cells": [
            {
                "id": cell.id,
                "seed": cell.seed,
                "values": dict(cell.values),
                "curriculum": cell.curriculum.model_dump(mode="json"),
            }
            for cell in read.cells
        ],
    }


def _cell(described: dict[str, Any]) -> Cell:
    curriculum = Curriculum.model_validate(described["curriculum"])
    return Cell(described["id"], described["seed"], described["values"], curriculum)


def _refuse_differences(folder: SweepFolder, begun: dict[str, Any], now: dict[str, Any]) -> None:
    """The number of workers and the place of the file may change (`begin` takes them over); nothing else may."""
    keys = [key for key in now if key not in ("file", "workers")]
    found = [line for key in keys for line in _told(key, begun.get(key), now[key])]
    if found:
        more = f"\n  and {len(found) - TOLD} more" if len(found) > TOLD else ""
        listed = "\n  ".join(found[:TOLD])
        raise RunError(
            f"{folder.path} holds a sweep that cannot go on, since these differ:\n  {listed}{more}\n"
            "Put them back as they were, or choose another --output-dir"
        )


def _told(key: str, begun: Any, now: Any) -> list[str]:
    if key != "cells" or not isinstance(begun, list) or len(begun) != len(now):
        return differences(key, len(begun) if key == "cells" else begun, len(now) if key == "cells" else now)
    pairs = zip(begun, now, strict=True)
    return [line for old, new in pairs for line in differences(f"cell {new['id']}", old, new)]
