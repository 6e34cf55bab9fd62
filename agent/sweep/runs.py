"""Cells as whole lives, each in a run folder of its own, several at a time in processes."""

import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure.agent.run.events import Event
from perdure.agent.run.folder import RunFolder, locked
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import read_state
from perdure.agent.sweep.contract import Failed, Finished
from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.lives import finished_life
from perdure.agent.sweep.processes import Lost, work
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell


@dataclass(frozen=True)
class Pool:
    """Lives in the run folders `cells/ID` of a sweep; one that was begun before goes on from where it stopped."""

    folder: SweepFolder
    workers: int

    def run(self, cells: Sequence[Cell]) -> Iterator[Finished | Failed]:
        """See `Executor.run`."""
        waiting = deque(_Life(cell, self.folder) for cell in cells)
        for one, outcome in work(live_cell, waiting, self.workers, self.folder.log):
            yield Failed(one.cell, outcome.reason, outcome.details) if isinstance(outcome, Lost) else outcome


@dataclass(frozen=True)
class _Life:
    cell: Cell
    folder: SweepFolder


class _Nobody:
    """Looks away: a sweep shows its cells, not their steps."""

    def past(self, events: Iterable[Event]) -> None:
        pass

    def event(self, event: Event) -> None:
        pass

    def progress(self, progress: dict[str, Any]) -> None:
        pass


def live_cell(one: _Life) -> Finished:
    """Live one cell to its end, or take it up, or only read it.

    Raises:
        PerdureError: whatever ends a run.
    """
    run = RunFolder(one.folder.life(one.cell.id))
    if not _is_over(run):
        from perdure.agent.loop import run_curriculum
        from perdure.agent.setup import resume, start

        if run.description.exists():
            with locked(run):
                run_curriculum(resume(run.path, _Nobody()))
        else:
            life = start(_on_one_thread(one.cell.curriculum), run.path, _Nobody())
            with locked(run):
                _copy_scores(one.folder.scores, run.path / "scores")
                run_curriculum(life)
    _share_base_scores(run, one.folder.scores)
    return finished_life(one.cell, run.path)


def _is_over(run: RunFolder) -> bool:
    return run.journal.exists() and read_state(read_journal(run.journal)).status == "finished"


def _on_one_thread(curriculum: Curriculum) -> Curriculum:
    """Where the curriculum leaves the threads to us, one a worker: whatever else runs, the result is the same."""
    if curriculum.model.threads != "auto":
        return curriculum
    return curriculum.model_copy(update={"model": curriculum.model.model_copy(update={"threads": 1})})


def _copy_scores(source: Path, target: Path) -> None:
    """Scores that other cells found. Files are named by weights, data and settings, and carry a checksum."""
    for file in source.glob("*.jsonl"):
        shutil.copyfile(file, target / file.name)


def _share_base_scores(run: RunFolder, target: Path) -> None:
    """What this cell found of the base is true for every cell of that base."""
    base = read_state(read_journal(run.journal)).row(0)
    for name in base.score_files.values() if base is not None else ():
        file = run.path / name
        if not (target / file.name).exists():
            partial = target / f".{file.name}.{run.path.name}.partial"
            shutil.copyfile(file, partial)
            partial.replace(target / file.name)
