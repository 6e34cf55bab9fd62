"""Cells of a sweep that run alone, each by a process of its own, on any machine that shares the sweep's folder.

Each process locks its cell. `collect_sweep` makes the table of what is there. No process waits for another.
"""

from collections.abc import Sequence
from dataclasses import replace

from perdure.agent.run.folder import disk_explained
from perdure.agent.sweep.folder import SweepFolder, lock_cell, read_description, share_sweep
from perdure.agent.sweep.sweep import Assign, SweepObserver, SweepPlan, run_cells
from perdure.budget.errors import ConfigError, RunError
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.sweeps.reader import Cell


def find_cell(cells: Sequence[Cell], asked: str) -> Cell:
    """The cell of an id (`0007`) or a number (`7`).

    Raises:
        ConfigError: there is none.
    """
    by_id = {cell.id: cell for cell in cells}
    found = by_id.get(asked) or by_id.get(asked.zfill(len(cells[0].id)))
    if found is None:
        near = did_you_mean(asked, by_id)
        raise ConfigError(
            f"--cell {asked}: the cells are {cells[0].id} to {cells[-1].id}{near}; list them with --list-cells"
        )
    return found


def run_alone(folder: SweepFolder, plan: SweepPlan, cell: Cell, assign: Assign, view: SweepObserver) -> bool:
    """Run one cell, or go on with it; false if it was finished before. The table of before is removed.

    Raises:
        RunError: another process holds the cell, or the whole sweep.
        DiskFullError: the disk is full.
        KeyboardInterrupt: the user stopped it; a run has saved its state.
    """
    with lock_cell(folder, cell.id), disk_explained(folder.path):
        if folder.rows(cell.id).exists():
            return False
        folder.results.unlink(missing_ok=True)
        view.begin(replace(plan, cells=(cell,)), 0)
        run_cells(folder, replace(plan, workers=1), [cell], assign, view)
        folder.results.unlink(missing_ok=True)  # one that was collected meanwhile lacks this cell
    return True


def collect_sweep(folder: SweepFolder) -> None:
    """Write the table of all rows that are there. Cells that end meanwhile are in it, or remove it.

    Raises:
        RunError: another process holds the whole sweep, or a file cannot be read.
        DiskFullError: the disk is full.
    """
    from perdure.agent.sweep.results import collect, write_results

    described = read_description(folder)
    try:
        name, ids = str(described["name"]), [str(cell["id"]) for cell in described["cells"]]
    except (LookupError, TypeError) as error:
        raise RunError(f"{folder.description} is damaged: it does not say what the sweep is ({error!r})") from error
    with share_sweep(folder), disk_explained(folder.path):
        collected: list[str] = []
        while (done := [id for id in ids if folder.rows(id).exists()]) != collected:
            collected = done
            table = collect(folder, done, name)
            assert table is not None
            write_results(folder, table)
