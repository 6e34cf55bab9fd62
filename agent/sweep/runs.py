"""An executor that runs each cell in a run folder of its own, several at a time in processes."""

import math
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perdure.agent.run.events import Started
from perdure.agent.run.folder import RunFolder, locked
from perdure.agent.run.log import NullView
from perdure.agent.run.record import read_record
from perdure.agent.run.state import RunState, StageState
from perdure.agent.sweep.contract import FailedCell, FinishedCell
from perdure.agent.sweep.figures import run_figures
from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.pools import Pool
from perdure.agent.sweep.processes import Failure
from perdure.agent.sweep.shared_base import groups_of, measure_shared_base
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell
from perdure.eval.scorefile import key_of


@dataclass(frozen=True)
class RunExecutor:
    """Runs cells in the run folders `cells/ID` of a sweep; a run that began before is resumed.

    Of cells with the same base the first measures it, before the others begin.
    """

    folder: SweepFolder
    pool: Pool

    def run(self, cells: Sequence[Cell]) -> Iterator[FinishedCell | FailedCell]:
        """See `Executor.run`."""
        folder = SweepFolder(self.folder.path.absolute())  # a worker elsewhere is in another directory
        queue, waiting = deque[_RunJob](), dict[str, list[_RunJob]]()
        for group in groups_of(cells):
            jobs = [_RunJob(cell, folder) for cell in group]
            if len(group) > 1 and not any(folder.run(cell.id).exists() for cell in group):
                queue.append(replace(jobs[0], only_base=True))
                waiting[group[0].id] = jobs
            else:
                queue.extend(jobs)
        for job, outcome in self.pool.run(run_cell, queue):
            if job.only_base:  # where it failed, each cell says why
                queue.extend(waiting.pop(job.cell.id))
                continue
            assert outcome is not None, "a whole cell was asked for"
            yield FailedCell(job.cell, outcome.reason, outcome.details) if isinstance(outcome, Failure) else outcome


@dataclass(frozen=True)
class _RunJob:
    cell: Cell
    folder: SweepFolder
    only_base: bool = False


def run_cell(job: _RunJob) -> FinishedCell | None:
    """Start or resume the run of one cell and read its rows; a finished run is only read.

    `only_base` jobs measure the base, share it, and leave the run to be resumed: `None`.

    Raises:
        PerdureError: any error that ends a run.
    """
    run = RunFolder(job.folder.run(job.cell.id))
    if job.only_base and run.description.exists():  # a worker that died left it
        return None
    if not run.journal.exists() or read_record(run)[0].status != "finished":
        from perdure.agent.loop import run_curriculum
        from perdure.agent.setup import resume, start

        if run.description.exists():
            with locked(run):
                run_curriculum(resume(run.path, NullView()))
        else:
            life = start(_on_one_thread(job.cell.curriculum), run.path, NullView())
            with locked(run):
                for file in job.folder.scores.glob("*.jsonl"):  # named by its key; the row gets a file of its own
                    shutil.copyfile(file, run.path / "scores" / file.name)
                measure_shared_base(life, job.folder.bases)
                _share_base_scores(run, job.folder.scores)
                if job.only_base:
                    return None
                run_curriculum(life)
    _share_base_scores(run, job.folder.scores)
    return finished_run(job.cell, run.path)


def finished_run(cell: Cell, run: Path) -> FinishedCell:
    """The rows of a finished run, one per stage, the last one `final`.

    Forgetting is the mean drop of the benchmarks from the base, NaN without benchmarks; it and a score are NaN where
    a part of the items was asked. KL and the other divergences
    are nats per token (or fractions), from the last reading of the stage. The last row also holds the figures of the
    whole run (`perdure.agent.sweep.figures`).
    """
    record, events = read_record(RunFolder(run))
    started = events[0]
    assert isinstance(started, Started)
    rows = [_row(cell, record, stage, final=stage is record.done[-1]) for stage in record.done]
    rows[-1] |= run_figures(record, cell.curriculum, run)
    return FinishedCell(cell, tuple(rows), _provenance(cell, record, started))


def _provenance(cell: Cell, record: RunState, started: Started) -> dict[str, Any]:
    return {
        "world": started.world,
        "base_id": started.base_id,
        "unit": "token",
        "prompts": record.prompts_of_tasks(cell.curriculum.budget.prompts),
        "benchmarks": list(record.benchmarks),
        "benchmark_fingerprints": {name: one for name, one in started.data.items() if name in record.benchmarks},
        "model": cell.curriculum.model.title,
        "probe": started.known_probe,
    }


def _row(cell: Cell, record: RunState, stage: StageState, *, final: bool) -> dict[str, Any]:
    drop = record.measured_drop(stage, record.benchmarks)
    base = record.row(0)
    assert base is not None
    return {
        "method": cell.arm or stage.method or "none",
        "stage": stage.stage,
        "task": stage.name,
        "step": stage.steps,
        "steps": stage.steps,
        "final": final,
        "accuracy": stage.scores[stage.name].value,
        "forgetting": math.nan if drop is None else drop,
        **{f"score.{name}": _asked_in_full(stage, name) for name in record.benchmarks},
        **{f"base_score.{name}": base.scores[name].value for name in record.benchmarks},
        **stage.readings[-1].predictors,
        "seconds": math.nan if stage.seconds is None else stage.seconds,
    }


def _asked_in_full(stage: StageState, name: str) -> float:
    """A score, NaN where it is an estimate from a part of its items."""
    return math.nan if name in stage.asked else stage.scores[name].value


def _on_one_thread(curriculum: Curriculum) -> Curriculum:
    """The curriculum with `threads: auto` as 1, so that results do not depend on the number of processes."""
    if curriculum.model.threads != "auto":
        return curriculum
    return curriculum.model_copy(update={"model": curriculum.model.model_copy(update={"threads": 1})})


def _share_base_scores(run: RunFolder, target: Path) -> None:
    """Copy this cell's scores of the base, by key, for other cells with that base; remove what it was given."""
    base = read_record(run)[0].row(0)
    for name in base.score_files.values() if base is not None else ():
        shared = target / f"{key_of(run.path / name)}.jsonl"
        if not shared.exists():
            partial = target / f".{shared.name}.{run.path.name}.partial"
            shutil.copyfile(run.path / name, partial)
            partial.replace(shared)
    for shared in target.glob("*.jsonl"):
        (run.path / "scores" / shared.name).unlink(missing_ok=True)
