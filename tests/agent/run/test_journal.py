"""The journal: what is read is whole, and repeats after a resume replace what they repeat."""

import json
import math
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.run.event import Event, StageEvent
from perdure.agent.run.events import KINDS, SCHEMA, Finished, Interrupted, Measured, Redone, Resumed, Started
from perdure.agent.run.journal import Journal, read_journal, read_line
from perdure.agent.run.lines import from_json, to_json
from perdure.agent.run.state import active_seconds, read_state
from perdure.budget.errors import RunError

KL = {"kl_per_token": {"value": 0.1, "stderr": 0.01, "n": 8}, "kl_per_sequence": {"value": 0.4, "stderr": None, "n": 8}}
READING = {"event": "reading", "stage": 1, "cap": 0.5, "unit": "token", "within": True, "entry": False, "final": False}


def reading(step: int, **fields: object) -> Event:
    return from_json(READING | KL | {"step": step} | fields)


def test_a_torn_line_is_neither_read_nor_built_upon(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).append(Finished(seconds=1.0))
    with path.open("ab") as file:
        file.write(b'{"event": "commi')
    assert list(read_journal(path)) == [Finished(seconds=1.0)]
    Journal(path).append(Resumed())
    assert list(read_journal(path)) == [Finished(seconds=1.0), Resumed()]


def test_a_disk_that_fills_up_within_a_line_leaves_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(Resumed())
    size = journal.path.stat().st_size
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(OSError):
            journal.append(Interrupted())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert journal.path.stat().st_size == size
    journal.append(Finished(seconds=1.0))
    assert list(read_journal(journal.path)) == [Resumed(), Finished(seconds=1.0)]


def test_nan_survives_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    event = Journal(path).append(Finished(seconds=float("nan")))
    assert isinstance(event, Finished) and math.isnan(event.seconds)
    # a number that is not finite is null in the line, which is JSON for every reader, and a word says which it was
    found = Journal(path).append(reading(2, kl_per_token={"value": -math.inf, "stderr": None, "n": 0}))
    line = path.read_text().splitlines()[1]
    row = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert (row["kl_per_token"]["value"], row["not_finite"]["/kl_per_token/value"]) == (None, "-Infinity")
    assert isinstance(found, Measured) and found.kl_per_token.value == -math.inf
    older = read_line(line.replace("null", "-Infinity", 1).encode(), path)  # a line of the version before
    assert isinstance(older, Measured) and older.kl_per_token == found.kl_per_token


def test_a_repeated_reading_replaces_the_first(tmp_path: Path) -> None:
    record = read_state([reading(20), reading(40), reading(20, bound=0.6)])
    row = record.row(1)
    assert row is not None
    assert [(r.step, r.within) for r in row.readings] == [(20, False), (40, True)]


def test_the_final_reading_comes_last_even_after_going_back() -> None:
    record = read_state([reading(0, entry=True), reading(20), reading(40), reading(20, final=True)])
    row = record.row(1)
    assert row is not None
    assert [(r.step, r.final) for r in row.readings] == [(0, False), (20, False), (40, False), (20, True)]


def test_of_a_stage_that_begins_again_no_end_counts() -> None:
    # killed after its end at step 60, before its policy was saved; gone on with on another machine it ends at step 40
    first = [reading(0, entry=True), reading(20), reading(60, final=True)]
    record = read_state([*first, reading(0, entry=True), reading(40), reading(40, final=True)])
    row = record.row(1)
    assert row is not None
    assert [(r.step, r.final) for r in row.readings] == [(0, False), (20, False), (40, False), (40, True)]


@pytest.mark.parametrize("times", [lambda s: {"time": s, "clock": None}, lambda s: {"time": -s, "clock": s}])
def test_time_between_a_kill_and_a_resume_is_not_counted(times: Callable[[int], dict[str, Any]]) -> None:
    # stage 1 begins at 10 (the step from 5 to 10 ends in it), is killed after 13, resumed at 100 and done at 104;
    # in older journals by the time of day, in newer ones by a clock, however the time of day is set meanwhile
    events = [
        Interrupted(**times(0)),
        StageEvent(stage=0, **times(5)),
        StageEvent(stage=1, **times(10)),
        StageEvent(stage=1, **times(13)),
        Resumed(**times(100)),
        StageEvent(stage=1, **times(104)),
    ]
    assert active_seconds(events, 1) == 5 + 3 + 4
    assert active_seconds(events) == 5 + 5 + 3 + 4


def test_time_before_a_stage_is_run_again_is_not_counted() -> None:
    # done at 20; at 900 the user asks for stage 1 again, which takes from 910 to 914
    events = [
        Interrupted(time=0, clock=None),
        StageEvent(stage=1, time=20, clock=None),
        Finished(seconds=20, time=20, clock=None),
        Redone(stage=1, time=900, clock=None),
        Resumed(time=910, clock=None),
        StageEvent(stage=1, time=914, clock=None),
    ]
    assert active_seconds(events) == 20 + 4
    assert active_seconds(events, 1) == 4, "of the stage as it is now"


def test_of_a_stage_that_was_run_again_the_seconds_before_are_not_counted() -> None:
    # stages 1, 2 and 3 are done at 20, 50 and 60; from 2 on they are run again, in 7 s and 8 s
    done = [StageEvent(stage=stage, time=time, clock=None) for stage, time in ((0, 0), (1, 20), (2, 50), (3, 60))]
    again = [Redone(stage=2, time=900, clock=None), Resumed(time=910, clock=None)]
    again += [StageEvent(stage=stage, time=time, clock=None) for stage, time in ((2, 917), (3, 925))]
    assert [active_seconds([*done, *again], stage) for stage in (1, 2, 3)] == [20, 7, 8]
    assert active_seconds([*done, *again]) == 60 + 15


@given(st.integers(0, 200))
def test_a_journal_cut_anywhere_gives_a_prefix_of_its_events(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal = Journal(path)
        whole = [journal.append(Finished(seconds=number)) for number in range(4)]
        path.write_bytes(path.read_bytes()[:cut])
        found = list(read_journal(path))
        assert found == whole[: len(found)]


def test_the_first_event_says_the_schema_and_a_later_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    older = {"event": "started", "time": 0, "run": "r", "tasks": ["a"], "benchmarks": [], "base_sha256": "abc"}
    started = from_json(older)
    assert isinstance(started, Started)
    assert (started.schema, started.world, started.base_id) == (1, "language", "abc")
    path.write_text(json.dumps(to_json(started) | {"schema": SCHEMA}) + "\n")
    assert list(read_journal(path)) == [replace(started, schema=SCHEMA)]
    path.write_text(json.dumps(to_json(started) | {"schema": SCHEMA + 1}) + "\n")
    with pytest.raises(RunError, match=r"journal.jsonl cannot be read: a later perdure wrote it \(schema 3"):
        list(read_journal(path))


ESTIMATE = {"value": 0.5, "stderr": None, "n": 8}
OF_A_STAGE = {"stage": 1, "name": "a"}
LINES: dict[str, dict[str, Any]] = {
    "started": {"schema": SCHEMA, "run": "r", "tasks": ("a",), "benchmarks": (), "curriculum": {"seed": 0}}
    | {"versions": {}, "resolved": {}, "world": "vision", "base_id": "b", "base_sha256": "c", "data": {"a": "d"}},
    "resumed": {},
    "base": {"files": {"a": "b"}},
    "redo": {"stage": 1},
    "price": OF_A_STAGE
    | {"base_rate": ESTIMATE, "target": 0.9, "floor": 0.3, "floor_interval": (0.2, 0.4), "need": None, "left": 1.0},
    "decision": OF_A_STAGE
    | {"method": "sft", "reason": "", "evidence": {"x": [1]}, "share": None, "cap": 0.5, "steps_spent": 0}
    | {"candidates": ({"method": "sft", "figures": {"gain": None}},)},
    "reading": {"stage": 1, "step": 2, "cap": 1.0, "unit": "token", "bound": 0.5, "within": True, "entry": False}
    | {"final": True, "penalty_weight": 0.1, "kl_per_token": ESTIMATE, "kl_per_sequence": ESTIMATE}
    | {"kl_policy_to_base_per_token": ESTIMATE, "total_variation_per_token": ESTIMATE}
    | {"l2_distributions_per_token": ESTIMATE},
    "intervention": {"stage": 1, "step": 2, "action": "stop", "reason": "", "target": "step 2"},
    "end_score": OF_A_STAGE | ESTIMATE | {"end": "within"},
    "unscored": {"stage": 1, "task": "even", "phase": "scoring", "answers": {"too slow": 2}},
    "score": OF_A_STAGE | ESTIMATE | {"kind": "task", "file": "f"},
    "notice": {"stage": 1, "notice": "cut_off", "count": 3, "of": 8},
    "commit": OF_A_STAGE | {"method": None, "steps": 0, "seconds": 1.5, "weights_sha256": "w"},
    "interrupted": {},
    "refused": {"reason": "no"},
    "finished": {"seconds": 2.0},
}


@pytest.mark.parametrize("name", KINDS)
def test_an_event_is_read_as_it_was_written(name: str) -> None:
    given = LINES[name]
    event = from_json({"event": name, "time": 7.0, "clock": 0.5} | given)
    assert to_json(event) == json.loads(json.dumps({"event": name, "time": 7.0, "clock": 0.5} | given))
    assert from_json(json.loads(json.dumps(to_json(event)))) == event
