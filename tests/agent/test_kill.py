"""`kill -9` at random moments: the resumed run ends with the same weights, scores and readings."""

import random
import time
from pathlib import Path
from typing import Any

import pandas

from perdure.agent.run.events import Resumed, Started
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, active_seconds, read_state
from tests.agent.killing import save_base, start_or_resume, tiny_stream
from tests.agent.scalar_run import steps_of
from tests.forked import GROUP, forkserver

KILLS = 5
pytestmark = GROUP


def record_of(path: Path) -> RunState:
    return read_state(read_journal(path / "journal.jsonl"))


def outcome(record: RunState) -> list[Any]:
    return [
        (row.name, row.method, row.evidence, row.steps, row.readings, row.scores, row.score_files, row.weights_sha256)
        for row in record.rows
    ]


def begins(path: Path) -> int:
    """How often the run in `path` was begun or taken up."""
    journal = path / "journal.jsonl"
    return sum(isinstance(event, Started | Resumed) for event in read_journal(journal)) if journal.exists() else 0


def lives(curriculum: Any, path: Path, seconds: float) -> bool:
    """Live on for some seconds from the first sign of run, then be killed. True if the run was over before."""
    before = begins(path)
    process = forkserver().Process(target=start_or_resume, args=(curriculum, path))
    process.start()
    while process.is_alive() and begins(path) == before:
        time.sleep(0.01)
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        return False
    assert process.exitcode == 0, f"the life in {path} failed"
    return True


def test_five_random_kills(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    curriculum = tiny_stream(tmp_path / "base")
    assert lives(curriculum, tmp_path / "whole", 300)
    whole = record_of(tmp_path / "whole")
    seconds = active_seconds(read_journal(tmp_path / "whole" / "journal.jsonl"))
    assert {row.method for row in whole.rows} >= {"sft", "rl", "chord"}
    assert any(row.interventions for row in whole.rows), "a life without a rollback would test less"
    moments = random.Random(20)
    kills = number = 0
    killed_in = set()
    while kills < KILLS:
        path = tmp_path / f"life{number}"
        while not lives(curriculum, path, moments.uniform(0, 0.5) * seconds):
            kills += 1
            rows = record_of(path).rows
            killed_in.add((sum(row.committed for row in rows), sum(len(row.readings) for row in rows)))
        assert outcome(record_of(path)) == outcome(whole), f"life {number}"
        pandas.testing.assert_frame_equal(steps_of(path), steps_of(tmp_path / "whole"), check_exact=True)
        number += 1
    assert len(killed_in) > 2, f"the kills all fell into the same place: {killed_in}"
