"""Runs a sweep from its first cell to its table of results; finished cells are in its folder and not run again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from perdure.agent.differences import forbidding, versions
from perdure.agent.run.folder import disk_explained, write_json
from perdure.agent.sweep.contract import Executor, FailedCell, FinishedCell
from perdure.agent.sweep.folder import (
    SweepFolder,
    clear_leftovers,
    create_sweep,
    lock_sweep,
    read_description,
    write_description,
)
from perdure.agent.sweep.ray_pool import refuse_missing_ray
from perdure.budget.errors import RunError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell, ReadSweep
from perdure.curriculum.sweeps.schema import Predictors, RayWorkers
from perdure.curriculum.tracking import refuse_missing

FORMAT = 1
OLDER = {"predictors": "all"}
"""What a `sweep.json` of an older version lacks."""

MAX_DIFFERENCES = 10
"""Differences listed in a message."""


@dataclass(frozen=True)
class SweepPlan:
    """A sweep as its folder describes it."""

    name: str
    checkpoints: int
    workers: int | Literal["auto"] | RayWorkers
    cells: tuple[Cell, ...]
    predictors: Predictors = "all"

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The values of each axis, cell by cell."""
        return {name: [cell.values[name] for cell in self.cells] for name in self.cells[0].values}


class SweepObserver(Protocol):
    """Shows the progress of a sweep."""

    def begin(self, plan: SweepPlan, done: int) -> None: ...

    def cell(self, outcome: FinishedCell | FailedCell) -> None: ...


Assign = Callable[[SweepFolder, SweepPlan, Sequence[Cell]], Sequence[tuple[Executor, Sequence[Cell]]]]
"""Assigns cells to executors."""


def begin_sweep(read: ReadSweep, path: Path) -> SweepFolder:
    """The folder of a sweep: a new one, or that of the same sweep begun before, updated with what may change.

    Raises:
        RunError: the folder is in use, is no sweep, or is another sweep, whose differences are named.
        ConfigError: the package of a tracker, or of Ray, is missing.
        DiskFullError: the disk is full.
    """
    if isinstance(read.sweep.workers, RayWorkers):
        refuse_missing_ray()
    description = _described(read)
    folder = SweepFolder(path)
    if not folder.description.is_file():
        return create_sweep(path, description)
    begun = read_description(folder)
    _refuse_differences(folder, begun, description)
    if begun != description:
        with lock_sweep(folder), disk_explained(path):
            write_description(folder, description)
    return folder


def join_sweep(read: ReadSweep, path: Path) -> SweepFolder:
    """The folder of a sweep whose cells many processes run, each some: the first makes it, and none changes it.

    Raises:
        RunError: the folder is no sweep, or is another sweep, whose differences are named.
        ConfigError: the package of a tracker is missing.
        DiskFullError: the disk is full.
    """
    description = _described(read)
    folder = SweepFolder(path)
    if not folder.description.is_file():
        folder = create_sweep(path, description, shared=True)
    _refuse_differences(folder, read_description(folder), description)
    return folder


def read_plan(folder: SweepFolder) -> SweepPlan:
    """The plan of a sweep folder.

    Raises:
        RunError: it began with other versions, which are named, or its `sweep.json` cannot be read.
    """
    begun = read_description(folder)
    _refuse_differences(folder, begun, {"format": FORMAT, "versions": versions()})
    try:
        cells = tuple(_cell(described) for described in begun["cells"])
        workers = begun["workers"]
        workers = RayWorkers.model_validate(workers) if isinstance(workers, dict) else workers
        return SweepPlan(begun["name"], begun["checkpoints"], workers, cells, {**OLDER, **begun}["predictors"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder.description} cannot be read by this version: {error!r}") from error


def unfinished_cells(folder: SweepFolder, plan: SweepPlan) -> list[Cell]:
    """The cells that are not finished, including those that failed."""
    return [cell for cell in plan.cells if not folder.rows(cell.id).exists()]


def run_sweep(folder: SweepFolder, plan: SweepPlan, assign: Assign, view: SweepObserver) -> None:
    """Run the unfinished cells of a sweep, then write the table of results. The caller holds the lock.

    An old table is removed first: a sweep without one is not finished.

    Raises:
        DiskFullError: the disk is full; finished cells stay.
        KeyboardInterrupt: the user stopped it; finished cells stay, and runs have saved their state.
    """
    from perdure.agent.sweep.results import collect, write_results

    with disk_explained(folder.path):
        clear_leftovers(folder)
        folder.results.unlink(missing_ok=True)
        remaining = unfinished_cells(folder, plan)
        view.begin(plan, len(plan.cells) - len(remaining))
        run_cells(folder, plan, remaining, assign, view)
        table = collect(folder, [cell.id for cell in plan.cells], plan.name)
        if table is not None:
            write_results(folder, table)


def run_cells(folder: SweepFolder, plan: SweepPlan, cells: Sequence[Cell], assign: Assign, view: SweepObserver) -> None:
    """Run some cells of a sweep, and write the rows of each or why it failed. The caller holds their lock."""
    from perdure.agent.sweep.results import write_cell

    axes = plan.axes
    for executor, its in assign(folder, plan, cells):
        for outcome in executor.run(its):
            if isinstance(outcome, FinishedCell):
                write_cell(folder, outcome, plan.name, axes)
                folder.failure(outcome.cell.id).unlink(missing_ok=True)
            else:
                failure = {"cell": outcome.cell.id, "reason": outcome.reason, "details": outcome.details}
                write_json(folder.failure(outcome.cell.id), failure)
            view.cell(outcome)


def _described(read: ReadSweep) -> dict[str, Any]:
    """The content of `sweep.json`; the packages of trackers must be there, unless other machines need them."""
    for cell in () if read.sweep.may_run_elsewhere else read.cells:
        refuse_missing(cell.curriculum.trackers)
    return {
        "format": FORMAT,
        "name": read.name,
        "file": str(read.source.absolute()),
        "checkpoints": read.sweep.checkpoints,
        "workers": read.sweep.model_dump(mode="json")["workers"],
        "versions": versions(),
        "predictors": read.sweep.predictors,
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
    """Refuse any change but of the number of workers, the path of the file, and a patch release of Python."""
    keys, begun = [key for key in now if key not in ("file", "workers")], {**OLDER, **begun}
    found = [line for key in keys for line in _differences(key, begun.get(key), now[key])]
    if found:
        more = f"\n  and {len(found) - MAX_DIFFERENCES} more" if len(found) > MAX_DIFFERENCES else ""
        listed = "\n  ".join(found[:MAX_DIFFERENCES])
        raise RunError(
            f"{folder.path} holds a sweep that cannot be resumed, since these differ:\n  {listed}{more}\n"
            "Undo the changes, or choose another --output-dir"
        )


def _differences(key: str, begun: Any, now: Any) -> list[str]:
    if key != "cells" or not isinstance(begun, list) or len(begun) != len(now):
        return forbidding(key, *(len(one) if key == "cells" and isinstance(one, list) else one for one in (begun, now)))
    found: dict[str, list[str]] = {}
    for old, new in zip(begun, now, strict=True):
        for line in forbidding("cell", old, new):
            found.setdefault(line.removeprefix("cell."), []).append(new["id"])
    return [f"cell {ids[0]}.{line}" if len(ids) == 1 else f"{line} ({len(ids)} cells)" for line, ids in found.items()]
