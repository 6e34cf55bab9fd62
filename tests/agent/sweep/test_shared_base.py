"""The base of a sweep is measured once, and the results are those of runs that measure their own, to the bit."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.log import NullView
from perdure.agent.run.record import read_record
from perdure.agent.setup import start
from perdure.agent.sweep.contract import FinishedCell
from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.runs import RunExecutor, _on_one_thread
from perdure.agent.sweep.shared_base import groups_of
from perdure.agent.sweep.sweep import begin_sweep, read_plan
from perdure.curriculum.sweeps.reader import Cell
from tests.agent.sweep.language import read_language

SWEEP = """\
curriculum: life.yaml
axes:
  - name: arm
    cells:
      slow: {train.learning_rate: 1e-3}
      fast: {train.learning_rate: 1e-2}
      short: {budget.max_completion_length: 5}
"""
pytestmark = pytest.mark.xdist_group("trl")


class Here:
    """A pool of this process; notes what was done, in order."""

    def __init__(self) -> None:
        self.done: list[tuple[str, bool]] = []

    def run(self, function: Callable[[Any], Any], queue: deque[Any]) -> Iterator[tuple[Any, Any]]:
        """See `Pool.run`."""
        while queue:
            job = queue.popleft()
            self.done.append((job.cell.id, job.only_base))
            yield job, function(job)


Swept = tuple[SweepFolder, tuple[Cell, ...], Here, dict[str, FinishedCell]]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Two rates, and a length of the base's texts, which is of the base as a rate is not."""
    path = tmp_path_factory.mktemp("shared")
    folder = begin_sweep(read_language(path, SWEEP), path / "sweep")
    cells, pool = read_plan(folder).cells, Here()
    found = {one.cell.id: one for one in RunExecutor(folder, pool).run(cells) if isinstance(one, FinishedCell)}
    return folder, cells, pool, found


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def test_cells_with_one_base_wait_for_it_and_others_do_not_share(swept: Swept) -> None:
    folder, cells, pool, found = swept
    assert [[cell.arm for cell in group] for group in groups_of(cells)] == [["slow", "fast"], ["short"]]
    (first, other), (alone,) = groups_of(cells)
    assert pool.done == [(first.id, True), (alone.id, False), (first.id, False), (other.id, False)]
    assert set(found) == {cell.id for cell in cells}
    assert len([one for one in folder.bases.iterdir() if not one.name.startswith(".")]) == 2
    bases = {cell.id: files(folder.run(cell.id) / "base") for cell in cells}
    assert bases[first.id] == bases[other.id] != bases[alone.id]


def test_results_are_those_of_a_run_that_measures_its_own(swept: Swept, tmp_path: Path) -> None:
    folder, cells, _, _ = swept
    taker = groups_of(cells)[0][1]
    run_curriculum(start(_on_one_thread(taker.curriculum), tmp_path / "alone", NullView()))
    shared, alone = folder.run(taker.id), tmp_path / "alone"
    for part in ("base", "scores", "stages/01-first/policy"):
        assert files(shared / part) == files(alone / part)
    rows = [read_record(RunFolder(run))[0].rows for run in (shared, alone)]
    assert [one.readings for one in rows[0]] == [one.readings for one in rows[1]]
    assert [one.scores for one in rows[0]] == [one.scores for one in rows[1]]


def test_a_damaged_base_is_not_taken(swept: Swept) -> None:
    folder, cells, _, _ = swept
    for one in folder.bases.glob("*/texts-00.safetensors"):
        one.write_bytes(b"damaged")
    taker = groups_of(cells)[0][0]
    again = SweepFolder(folder.path.parent / "again")
    for place in (again.cells, again.scores):
        place.mkdir(parents=True)
    (again.path / "bases").symlink_to(folder.bases)
    (found,) = RunExecutor(again, Here()).run([taker])
    assert isinstance(found, FinishedCell)
    assert files(again.run(taker.id) / "base") == files(folder.run(taker.id) / "base")
