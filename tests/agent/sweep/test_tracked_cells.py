"""Cells that are tracked are runs of their own, also where their world could train them together."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from perdure.agent.sweep.assign import executors
from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.runs import RunExecutor
from perdure.agent.sweep.sweep import SweepPlan, join_sweep
from perdure.budget.errors import ConfigError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.sweeps.reader import Cell, ReadSweep
from perdure.curriculum.sweeps.schema import Sweep
from perdure.curriculum.tracking import SECTIONS


def test_a_tracked_cell_is_in_no_stack(tmp_path: Path) -> None:
    plain = read_curriculum("parity-mnist-task").curriculum
    tracked = plain.model_copy(update={"tracking": ["tensorboard"]})
    cells = (Cell("a", 0, {}, plain), Cell("b", 0, {}, tracked))
    plan = SweepPlan("s", 1, 1, cells)
    found = executors(SweepFolder(tmp_path), plan, cells)
    runs = [[cell.id for cell in each] for executor, each in found if isinstance(executor, RunExecutor)]
    assert runs == [["b"]]


ABSENT = [name for name, section in SECTIONS.items() if find_spec(section.module) is None]


@pytest.mark.skipif(not ABSENT, reason="is about trackers that are not installed")
def test_a_tracker_that_this_machine_lacks_is_refused_unless_others_run_the_cells(tmp_path: Path) -> None:
    tracked = read_curriculum("parity-mnist-task").curriculum.model_copy(update={"tracking": ABSENT[:1]})
    sweep = Sweep(curriculum="parity-mnist-task")
    read = ReadSweep(sweep, (Cell("1", 0, {}, tracked),), tmp_path / "grid.yaml")
    with pytest.raises(ConfigError, match=f"the package of '{ABSENT[0]}' is not installed"):
        join_sweep(read, tmp_path / "grid")
    on_ray = Sweep.model_validate({"curriculum": "parity-mnist-task", "workers": {"type": "ray"}})
    assert join_sweep(replace(read, sweep=on_ray), tmp_path / "grid").description.is_file()
