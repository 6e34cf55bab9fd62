"""The record of every step: each once, in order, with the figures it had."""

import math
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.run.folder import disk_explained, write_json
from perdure.agent.run.steps import FIGURES, LINES, TABLE, StepRecord, read_steps
from perdure.agent.worlds.contract import Progress
from perdure.budget.errors import DiskFullError, RunError
from perdure.budget.files import sha256_of


def record(run: Path, stage: int = 1, before: int = 0) -> StepRecord:
    """The record of a stage whose folder is there, by a clock that stands still."""
    folder = run / "stages" / f"0{stage}-task-{stage}.partial"
    folder.mkdir(parents=True, exist_ok=True)
    return StepRecord(folder, stage, f"task-{stage}", before, lambda: 5.0)


def figures(loss: float | None, **more: float) -> dict[str, float | None]:
    return Progress(1, 1, loss=loss, **more).figures


def commit(run: Path, stage: int = 1) -> Path:
    """What the commit of a stage does to its record."""
    final = run / "stages" / f"0{stage}-task-{stage}"
    final.with_suffix(".partial").rename(final)
    write_json(final / "stage.json", {"files": {TABLE: sha256_of(final / TABLE)}})
    return final / TABLE


def losses(run: Path, **stage: Any) -> list[float]:
    return [float(value) for value in read_steps(run, **stage)["loss"]]


def test_steps_are_those_of_their_stage_and_of_the_run(tmp_path: Path) -> None:
    first, second = record(tmp_path), record(tmp_path, 2, before=2)
    for step, loss in ((1, 0.5), (2, math.inf)):
        first.add(step, figures(loss, mean_length=4.0))
    first.close(2)
    commit(tmp_path)
    made = second.add(1, figures(None))
    second.sync()
    assert (made.stage, made.name, made.step, made.run_step, made.time) == (2, "task-2", 1, 3, 5.0)
    frame = read_steps(tmp_path)
    assert list(frame.columns) == ["stage", "name", "step", "run_step", "time", *FIGURES]
    assert frame[["stage", "name", "step", "run_step"]].values.tolist() == [
        [1, "task-1", 1, 1],
        [1, "task-1", 2, 2],
        [2, "task-2", 1, 3],
    ]
    assert losses(tmp_path, stage=1) == [0.5, math.inf]
    assert frame["mean_length"].tolist()[:2] == [4.0, 4.0]
    assert frame.loc[2, list(FIGURES)].isna().all()


def test_an_update_that_goes_on_from_a_checkpoint_drops_later_steps(tmp_path: Path) -> None:
    killed = record(tmp_path)
    for step in (1, 2, 3, 4):
        killed.add(step, figures(float(step)))
        if step == 4:
            killed.sync()
    killed.add(5, figures(5.0))  # waits in memory when the kill comes
    lines = tmp_path / "stages/01-task-1.partial" / LINES
    with lines.open("ab") as file:
        file.write(b'{"stage": 1, "na')  # a torn line
    resumed = record(tmp_path)
    for step in (3, 4, 5):
        resumed.add(step, figures(step / 10))
    resumed.close(5)
    commit(tmp_path)
    assert losses(tmp_path) == [1.0, 2.0, 0.3, 0.4, 0.5]


def test_steps_that_were_not_made_are_left_out(tmp_path: Path) -> None:
    one = record(tmp_path)
    one.add(1, figures(1.0))
    one.add(2, figures(math.nan))
    one.close(1)
    commit(tmp_path)
    assert losses(tmp_path) == [1.0]


def test_runs_without_a_record_have_no_steps(tmp_path: Path) -> None:
    (tmp_path / "stages" / "01-old" / "policy").mkdir(parents=True)
    frame = read_steps(tmp_path)
    assert len(frame) == 0
    assert set(FIGURES) <= set(frame.columns)
    record(tmp_path, 2).close(0)
    commit(tmp_path, 2)
    assert len(read_steps(tmp_path)) == 0


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    one = record(tmp_path)
    one.add(1, figures(1.0))
    one.close(1)
    path = commit(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RunError, match=r"01-task-1/steps\.parquet is not what was written"):
        read_steps(tmp_path)


def test_a_full_disk_says_how_to_go_on_and_leaves_whole_steps(tmp_path: Path) -> None:
    one = record(tmp_path)
    one.add(1, figures(1.0))
    one.sync()
    size = (tmp_path / "stages/01-task-1.partial" / LINES).stat().st_size
    one.add(2, figures(2.0))
    with no_file_above(size + 10):
        for write in (one.sync, lambda: one.close(1)):
            with pytest.raises(DiskFullError, match="perdure resume"), disk_explained(tmp_path):
                write()
    assert losses(tmp_path) == [1.0]
    one.close(2)
    commit(tmp_path)
    assert losses(tmp_path) == [1.0, 2.0]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """A limit of this process on the bytes of a file, which the system refuses like a full disk."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
