"""What trackers are told of a run, killed or not, and that nothing that they do stops it."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.tracking.contract import Opening, Record, Status
from perdure.agent.tracking.courier import Courier
from perdure.agent.tracking.follow import Tracking, harmless, sweep_of
from perdure.agent.tracking.records import of_past_steps
from tests.agent.scalar_run import Killed, Onlooker, curriculum, in_memory, scalar_run
from tests.plugin.perdure_scalar.world import ScalarWorld


class Recorder:
    """Notes what is sent, in place of a process."""

    name = "recorder"

    def __init__(self, fault: str | None = None) -> None:
        self.fault = fault
        self.records: list[Record] = []
        self.ended: Status | None = None

    def send(self, records: Sequence[Record]) -> None:
        self.records += records

    def close(self, status: Status) -> None:
        self.ended = status


def followed(path: Path, recorder: Recorder, kill_at: int | None = None) -> None:
    """A run of two stages of 6 steps in `path`, or the rest of it, told as `tracked` does."""
    life = scalar_run(path, curriculum(), ScalarWorld(lambda step: None), Onlooker(kill_at))
    tracking = Tracking([recorder], life.logger.say)
    tracking.past(read_journal(life.folder.journal))
    tracking.steps(of_past_steps(path))
    life.logger.follow(tracking)
    run_curriculum(life)


def told(records: Sequence[Record]) -> list[tuple[int, Any]]:
    """What was said at which step, without the times."""
    found = [(one.step, sorted(one.metrics.items()), sorted(one.notes.items())) for one in records]
    return sorted((step, json.dumps(rest)) for step, *rest in found if "seconds" not in json.dumps(rest))


@pytest.mark.parametrize("kill_at", [5, 9, 14])
def test_a_killed_run_is_told_once_as_one_that_was_not(kill_at: int) -> None:
    """The tracker that was there before the kill keeps its records; one that comes later gets all."""
    with in_memory() as folder:
        whole, kept, late = Recorder(), Recorder(), Recorder()
        followed(folder / "whole", whole)
        with pytest.raises(Killed):
            followed(folder / "killed", kept, kill_at)
        had = [record.event for record in kept.records]
        followed(folder / "killed", late)
        assert told(late.records) == told(whole.records)
        assert [record.event for record in late.records if record.event in had and record.event is not None]
        steps = [record.step for record in late.records if record.event is None]
        assert steps == list(range(1, 13))


def test_a_tracker_that_fails_is_said_once() -> None:
    said: list[str] = []
    tracking = Tracking([Recorder("http://me:secret@host is down"), Recorder()], said.append)
    for _ in range(3):
        tracking.steps([Record(len(said) + 5, 0.0)])
        tracking.past([])
    tracking.close("finished")
    assert said == ["tracking: the run goes on without recorder: http://…@host is down"]


def test_what_is_said_holds_no_secret() -> None:
    assert harmless("GET http://h/x?write_token=abc&y=1\n failed") == "GET http://h/x?write_token=…&y=1 failed"


def courier(folder: Path, program: str, **more: Any) -> Courier:
    return Courier("x", Opening({}, folder, "run", None, {}), (sys.executable, "-c", program), **more)


def test_a_process_that_ends_or_hangs_is_given_up(tmp_path: Path) -> None:
    ended = courier(tmp_path, 'print(\'{"failed": "ConnectionError: no route"}\')')
    hangs = courier(tmp_path, "import time; time.sleep(60)", patience=0.05)
    ended.close("finished")
    assert ended.fault == "ConnectionError: no route"
    while hangs.fault is None:
        hangs.send([Record(1, 0.0)])
    assert hangs.fault == "it has not answered for 0 s"
    hangs.close("finished")


def test_a_cell_is_grouped_by_its_sweep(tmp_path: Path) -> None:
    cell = tmp_path / "rates" / "cells" / "sft-1"
    cell.mkdir(parents=True)
    assert sweep_of(cell) is None
    (tmp_path / "rates" / "sweep.json").touch()
    assert sweep_of(cell) == "rates"
