"""The journal: what is read is whole, and repeats after a resume replace what they repeat."""

import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.run.journal import Journal, read_journal
from perdure.agent.run.record import active_seconds, read_record

KL = {"kl_per_token": {"value": 0.1, "stderr": 0.01, "n": 8}, "kl_per_sequence": {"value": 0.4, "stderr": None, "n": 8}}
READING = {"event": "reading", "stage": 1, "cap": 0.5, "unit": "token", "within": True, "entry": False, "final": False}


def reading(step: int, **fields: object) -> dict[str, object]:
    return READING | KL | {"step": step} | fields


def test_a_torn_line_is_neither_read_nor_built_upon(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).append("finished", seconds=1.0)
    with path.open("ab") as file:
        file.write(b'{"event": "commi')
    assert [event["event"] for event in read_journal(path)] == ["finished"]
    Journal(path).append("resumed")
    assert [event["event"] for event in read_journal(path)] == ["finished", "resumed"]


def test_a_disk_that_fills_up_within_a_line_leaves_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("resumed")
    size = journal.path.stat().st_size
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(OSError):
            journal.append("interrupted")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert journal.path.stat().st_size == size
    journal.append("finished", seconds=1.0)
    assert [event["event"] for event in read_journal(journal.path)] == ["resumed", "finished"]


def test_nan_survives_the_journal(tmp_path: Path) -> None:
    event = Journal(tmp_path / "journal.jsonl").append("reading", value=float("nan"))
    assert event["value"] != event["value"]


def test_a_repeated_reading_replaces_the_first(tmp_path: Path) -> None:
    record = read_record([reading(20), reading(40), reading(20, within=False)])
    row = record.row(1)
    assert row is not None
    assert [(r.step, r.within) for r in row.readings] == [(20, False), (40, True)]


def test_the_final_reading_comes_last_even_after_going_back() -> None:
    record = read_record([reading(0, entry=True), reading(20), reading(40), reading(20, final=True)])
    row = record.row(1)
    assert row is not None
    assert [(r.step, r.final) for r in row.readings] == [(0, False), (20, False), (40, False), (20, True)]


def test_time_between_a_kill_and_a_resume_is_not_counted() -> None:
    # stage 1 begins at 10 (the step from 5 to 10 ends in it), is killed after 13, resumed at 100 and done at 104
    events = [
        {"event": "started", "time": 0},
        {"event": "commit", "time": 5, "stage": 0},
        {"event": "decision", "time": 10, "stage": 1},
        {"event": "reading", "time": 13, "stage": 1},
        {"event": "resumed", "time": 100},
        {"event": "commit", "time": 104, "stage": 1},
    ]
    assert active_seconds(events, 1) == 5 + 3 + 4
    assert active_seconds(events) == 5 + 5 + 3 + 4


@given(st.integers(0, 200))
def test_a_journal_cut_anywhere_gives_a_prefix_of_its_events(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal = Journal(path)
        whole = [journal.append("resumed", number=number) for number in range(4)]
        path.write_bytes(path.read_bytes()[:cut])
        found = list(read_journal(path))
        assert found == whole[: len(found)]
