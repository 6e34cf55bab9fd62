"""A run that goes on elsewhere: what does not forbid it is told, and what does is named with what it would change."""

import re
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.differences import refuse_differences, refuse_other_number, tolerated
from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.log import NullView
from perdure.agent.run.record import read_record
from perdure.agent.run.report import run_object
from perdure.agent.setup import resume, start
from perdure.budget.errors import ConfigError, RunError
from perdure.budget.launchers import refuse_several
from perdure.cli.views.log_lines import describe_event
from perdure.cli.views.run_report import run_report
from perdure.cli.views.state import State, with_events
from perdure.cli.views.symbols import ASCII
from tests.control_runs import curriculum, point

BEGUN = {
    "versions": {"python": "3.12.4", "torch": "2.13.0"},
    "resolved": {"device": "cuda:0", "dtype": "bfloat16", "threads": "2"},
    "base_sha256": "a",
    "data": {"even": "b"},
}


def now(where: str, name: str, value: str) -> dict[str, Any]:
    """`BEGUN` with one other value."""
    return BEGUN | {where: BEGUN[where] | {name: value}}  # type: ignore[operator]


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [("versions", "python", "3.12.11"), ("resolved", "device", "cuda:3"), ("resolved", "threads", "16")],
)
def test_what_does_not_forbid_a_run_is_told(where: str, name: str, value: str) -> None:
    refuse_differences(BEGUN, now(where, name, value))
    before = BEGUN[where][name]  # type: ignore[index]
    assert tolerated(BEGUN, now(where, name, value)) == (f"{where}.{name}: was {before!r}, is {value!r}",)
    assert tolerated(BEGUN, BEGUN) == ()


@pytest.mark.parametrize(
    ("where", "name", "value", "meaning"),
    [
        ("versions", "python", "3.13.0", "`versions`: training, answers, scores and KL may come out otherwise"),
        ("versions", "torch", "2.13.1", "`versions`: training"),
        ("resolved", "device", "cpu", "`resolved`: figures would no longer compare"),
        ("resolved", "dtype", "float32", "`resolved`: figures"),
        ("data", "even", "c", "`data`: the hashes of items differ"),
    ],
)
def test_what_forbids_it_is_named_with_what_it_would_change(where: str, name: str, value: str, meaning: str) -> None:
    with pytest.raises(RunError, match=rf"{where}\.{name}: was .*, is '{value}'\n{meaning}.*\nPut them back"):
        refuse_differences(BEGUN, now(where, name, value))
    assert tolerated(BEGUN, now(where, name, value)) == ()


def test_a_run_goes_on_elsewhere_and_says_so(tmp_path: Path) -> None:
    made, path = curriculum([point()]), tmp_path / "run"
    run_curriculum(start(made, path, NullView()))
    resume(path, NullView(), redo_from=1)
    journal = path / "journal.jsonl"
    text = re.sub(r', "crc32": \d+', "", journal.read_text())
    assert text.count('"threads": "1"') == 1
    journal.write_text(text.replace('"threads": "1"', '"threads": "64"'))  # as if it had begun on a large machine
    resume(path, NullView(), redo_from=1)
    record, events = read_record(RunFolder(path))
    line = "resolved.threads: was '64', is '1'"
    words = f"where the same weights to the bit are not promised ({line})"
    assert [describe_event(State(record=record), one) for one in events if "edited" in vars(one)] == [
        "resumed",
        f"resumed, {words}",
    ]
    assert run_object(record)["differs"] == [line]
    shown = [text.plain for text in run_report(with_events(State(), events, path), {}, ASCII, 200)]
    assert f"  resumed {words}" in shown


def test_another_number_of_processes_is_refused_with_the_command() -> None:
    refuse_other_number(BEGUN, Path("runs/a"))
    with pytest.raises(RunError, match=r"torchrun --nproc_per_node 2 -m perdure resume runs/a$"):
        refuse_other_number(now("resolved", "processes", "2"), Path("runs/a"))


def test_a_command_for_one_process_is_refused_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    refuse_several("sweep")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="`perdure sweep` is for one process"):
        refuse_several("sweep")
