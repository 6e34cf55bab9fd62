"""Sweep folders that were damaged: `show` and `law` say what is there, and `sweep` refuses or ends as it should."""

import json
import math
import pickle
import random
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import perdure.cli.commands.law
import perdure.cli.commands.show
from perdure.agent.law_data.sweeps import table_source
from perdure.agent.sweep.assign import executors
from perdure.agent.sweep.contract import Executor, FailedCell, FinishedCell
from perdure.agent.sweep.folder import SweepFolder, lock_sweep
from perdure.agent.sweep.results import collect
from perdure.agent.sweep.runs import RunExecutor, _RunJob, run_cell
from perdure.agent.sweep.stacks import StackExecutor, _Stack, train_stack
from perdure.agent.sweep.sweep import SweepPlan, begin_sweep, read_plan, run_sweep
from perdure.budget.errors import PerdureError
from perdure.curriculum.sweeps.reader import Cell, read_sweep
from tests.agent.scalar_run import in_memory
from tests.faults.folders import DAMAGES
from tests.faults.rehearsal import VISION, forked, spread
from tests.faults.totals import Totals, count

DAMAGED = 120
SWEEP: dict[str, Any] = {
    "curriculum": "curriculum.yaml",
    "seeds": [0, 1],
    "axes": [{"name": "held", "path": "budget.enforce", "values": ["observe", "project"]}],
    "checkpoints": 2,
    "workers": 1,
}
"""Two cells that are trained together, `STACKED`, and two that are runs of their own."""
STACKED = ("0001", "0002")


@dataclass(frozen=True)
class InThisProcess:
    """Runs the cells of another executor one by one, without starting processes."""

    executor: Any
    folder: SweepFolder

    def run(self, cells: Sequence[Cell]) -> Iterator[FinishedCell | FailedCell]:
        """See `Executor.run`."""
        for cell in cells:
            try:
                if isinstance(self.executor, StackExecutor):
                    yield from train_stack(_Stack(self.executor.trainer, self.executor.checkpoints, (cell,)))
                else:
                    assert isinstance(self.executor, RunExecutor)
                    yield run_cell(_RunJob(cell, self.folder))
            except PerdureError as error:
                yield FailedCell(cell, str(error))


class Unseen:
    """Shows nothing."""

    def begin(self, plan: SweepPlan, done: int) -> None:
        pass

    def cell(self, outcome: FinishedCell | FailedCell) -> None:
        pass


def swept(path: Path) -> None:
    """`perdure sweep`, in this process."""
    folder = begin_sweep(read_sweep(str(path.parent / "sweep.yaml"), [], []), path)

    def assign(folder: SweepFolder, plan: SweepPlan, cells: Sequence[Cell]) -> list[tuple[Executor, list[Cell]]]:
        return [(InThisProcess(executor, folder), own) for executor, own in executors(folder, plan, cells)]

    with lock_sweep(folder):
        run_sweep(folder, read_plan(folder), assign, Unseen())


def figures(path: Path) -> set[str]:
    """Every row of the cells, and every point of their law, without times."""
    folder = SweepFolder(path)
    plan = read_plan(folder)
    table = collect(folder, [cell.id for cell in plan.cells], plan.name)
    rows = [] if table is None else table.to_pylist()
    for file in folder.cells.glob("*.parquet"):
        rows += [asdict(point) | {"run": ""} for point in table_source(file).points]
    return {repr(sorted((name, value) for name, value in row.items() if _is_told(name, value))) for row in rows}


def _is_told(name: str, value: Any) -> bool:
    """False for a time, and for what a row does not have, which depends on the other rows of a table."""
    return "seconds" not in name and value is not None and not (isinstance(value, float) and math.isnan(value))


def run(limit: int | None) -> Totals:
    """Random damage to every file of two sweeps of the vision world: finished, and stopped half-way."""
    with in_memory() as place:
        curriculum = VISION | {"stages": VISION["stages"][:1]}
        (place / "curriculum.yaml").write_text(json.dumps(curriculum))
        (place / "sweep.yaml").write_text(json.dumps(SWEEP))
        swept(place / "whole")
        shutil.copytree(place / "whole", place / "stopped")
        for name in ("results.parquet", "cells/0002.parquet", "cells/0003.parquet", "cells/0004.parquet"):
            (place / "stopped" / name).unlink()
        shutil.rmtree(place / "stopped/cells/0003")
        right = figures(place / "whole")
        return count(_case(place, right, seed) for seed in spread(list(range(DAMAGED)), limit))


def _case(place: Path, right: set[str], seed: int) -> str | None:
    chance, path = random.Random(seed), place / "damaged"
    shutil.copytree(place / ("stopped" if seed % 2 else "whole"), path)
    own = [one for one in path.rglob("*") if one.is_file() or one.name in ("cells", "failed", "scores")]
    few = [one for one in own if one.parent == path or one.suffix == ".parquet"]
    target = chance.choice(sorted(few if chance.random() < 0.7 else own))
    damage = chance.choice(DAMAGES)
    if target.is_dir():
        shutil.rmtree(target)
    else:
        damage(target, chance)
    try:
        lost = _lost(place, path, right)
        what = "removed" if not target.is_file() else getattr(damage, "__name__", "damaged")
        return None if lost is None else f"seed {seed}, {target.relative_to(path)} {what}: {lost}"
    finally:
        shutil.rmtree(path)


def _lost(place: Path, path: Path, right: set[str]) -> str | None:
    reading: dict[str, Callable[[], object]] = {
        "show": lambda: perdure.cli.commands.show.show_command(path, False),
        "show --json": lambda: perdure.cli.commands.show.show_command(path, True),
        "law": lambda: perdure.cli.commands.law.law_command([path], [0.95], [], False, None, None),
        "law of cells": lambda: perdure.cli.commands.law.law_command(
            [path / f"cells/{cell}.parquet" for cell in STACKED], [0.95], [], False, None, None
        ),
        "the figures": lambda: (place / "told").write_bytes(pickle.dumps(figures(path))),
    }
    for name, command in reading.items():
        ended = forked(command, place)
        if not ended.in_words:
            return f"{name}: exit {ended.code}: {ended.words[-300:]}"
        if name == "the figures" and ended.code == 0 and not pickle.loads((place / "told").read_bytes()) <= right:
            return "wrong figures"
    return _lost_again(place, path, right)


def _lost_again(place: Path, path: Path, right: set[str]) -> str | None:
    """Begin the sweep again, and follow the remedy that it names."""
    ended = forked(lambda: swept(path), place)
    named = re.search(r"(\S+\.parquet) is damaged .*remove it", ended.words)
    if ended.code == 1 and named:
        target = Path(named[1])
        shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
        ended = forked(lambda: swept(path), place)
    if not ended.in_words:
        return f"sweep: exit {ended.code}: {ended.words[-300:]}"
    if ended.code == 1:
        return None
    told = figures(path)
    failed = [json.loads(file.read_bytes())["reason"] for file in path.glob("failed/*.json")]
    return None if told == right or (failed and told <= right) else f"another outcome; failed: {failed}"
