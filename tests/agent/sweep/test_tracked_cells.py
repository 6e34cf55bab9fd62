"""Cells that are tracked are runs of their own, also where their world could train them together."""

from pathlib import Path

from perdure.agent.sweep.assign import executors
from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.runs import RunExecutor
from perdure.agent.sweep.sweep import SweepPlan
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.sweeps.reader import Cell


def test_a_tracked_cell_is_in_no_stack(tmp_path: Path) -> None:
    plain = read_curriculum("parity-mnist-task").curriculum
    tracked = plain.model_copy(update={"tracking": ["tensorboard"]})
    cells = (Cell("a", 0, {}, plain), Cell("b", 0, {}, tracked))
    plan = SweepPlan("s", 1, 1, cells)
    found = executors(SweepFolder(tmp_path), plan, cells)
    runs = [[cell.id for cell in each] for executor, each in found if isinstance(executor, RunExecutor)]
    assert runs == [["b"]]
