"""A run whose scorecards ask a part of the items: what it comes to, what it says of it, and what a law takes of it."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from perdure.agent.api.lines import Lines
from perdure.agent.loop import run_curriculum
from perdure.agent.run.answers import run_answers
from perdure.agent.run.journal import read_journal
from perdure.agent.run.report import changes, run_object
from perdure.agent.run.state import RunState
from perdure.agent.sweep.runs import _row
from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.sweeps.reader import Cell
from perdure.curriculum.task import Item, Task
from perdure.eval.benchmarks import BenchmarkSet
from perdure.eval.scorecard import Scorecard
from tests.agent.scalar_run import Killed, Onlooker, curriculum, in_memory, outcome, record_of, scalar_run
from tests.agent.scalar_world import near
from tests.plugin.perdure_scalar.world import ScalarWorld


def big(task: Task) -> Task:
    """The same with 200 held-out items: two are right at 0.0, most at the task's own answer."""
    (answer,) = {item.answer for item in task.heldout}
    items = (Item(f"{task.name} held out {n}", answer="0.0" if n % 100 == 0 else answer) for n in range(200))
    return Task(task.name, task.train, tuple(items), near)


def run(path: Path, items: str, view: Onlooker | None = None, **budget: Any) -> RunState:
    config = curriculum(4, **({"kl": 100.0} | budget))
    life = scalar_run(path, config, ScalarWorld(), view)
    life.tasks = tuple(map(big, life.tasks))
    evaluation = Evaluation.model_validate({"items": items})
    life.scorecard = Scorecard(life.tasks, BenchmarkSet(), evaluation, path, seed=config.seed)
    run_curriculum(life)
    return record_of(path)


def test_final_metrics_are_what_they_are_in_full(tmp_path: Path) -> None:
    whole, part = run(tmp_path / "whole", "all"), run(tmp_path / "part", "adaptive")
    found, in_full = run_object(part, tmp_path / "part"), run_object(whole, tmp_path / "whole")
    exact = ("average_accuracy", "backward_transfer", "forward_transfer")
    assert {name: found["metrics"][name] for name in exact} == {name: in_full["metrics"][name] for name in exact}
    assert found["metrics"]["forgetting"] == pytest.approx(in_full["metrics"]["forgetting"], abs=0.05)
    assert found["metric_intervals"]["backward_transfer"] == in_full["metric_intervals"]["backward_transfer"]
    assert not any(row["asked"] for row in in_full["rows"])
    assert [sorted(row["asked"]) for row in found["rows"]] == [
        [],
        ["task2", "task3"],
        ["task0", "task3"],
        ["task0", "task1"],
        [],
    ]
    same = changes(whole, tmp_path / "whole")
    for place, change in changes(part, tmp_path / "part").items():
        assert change.p_value is not None and (change.p_value < 0.05) == ((same[place].p_value or 1) < 0.05)


def test_what_was_not_asked_is_said(tmp_path: Path) -> None:
    record = run(tmp_path / "run", "adaptive")
    (column,) = run_answers(record, tmp_path / "run", "task3", 1)
    assert len(column.items) == record.rows[1].asked["task3"].n and len(column.items) + column.not_asked == 200
    assert column.count("unscored") == 0


def test_a_law_takes_no_drop_of_a_part(tmp_path: Path) -> None:
    record = run(tmp_path / "run", "adaptive")
    row: Any = record.rows[2]
    assert record.measured_drop(row, ["task1"]) == record.drop(row, ["task1"]) is not None
    assert record.measured_drop(row, ["task0"]) is None is not record.drop(row, ["task0"])


def test_the_ends_of_a_projection_are_asked_in_full(tmp_path: Path) -> None:
    row = run(tmp_path / "run", "adaptive", enforce="project", kl=0.25).rows[1]
    assert row.asked["task3"].n == row.scores["task3"].n < 200
    assert {end: scores["task3"].n for end, scores in row.ends.items()} == {"within": 200, "beyond": 200}


def test_lines_mark_an_estimate_and_a_sweep_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, lines, cell = run(tmp_path / "run", "adaptive"), Lines(tmp_path), SimpleNamespace(arm="sft")
    for event in read_journal(tmp_path / "run" / "journal.jsonl"):
        lines.event(event)
    _, first, _, last = (line for line in capsys.readouterr().out.splitlines() if "1 of 4" in line or "4 of 4" in line)
    table: Any = replace(record, benchmarks=("task0", "task3"))
    of_first, of_last = (_row(cast(Cell, cell), table, table.rows[stage], final=False) for stage in (1, 4))
    own, part = (100 * record.rows[1].scores[name].value for name in ("task0", "task3"))
    assert f"task0 {own:.1f} %, " in first and first.endswith(f"task3 ~{part:.1f} %")
    assert "~" not in last
    assert math.isnan(of_first["score.task3"]) and math.isnan(of_first["forgetting"])
    assert of_first["score.task0"] == own / 100 and of_last["score.task3"] == record.rows[4].scores["task3"].value


def test_killed_and_resumed_it_comes_to_the_same() -> None:
    with in_memory() as folder:
        whole = outcome(run(folder / "whole", "adaptive"))
        for cry_at in (14, 21):
            with pytest.raises(Killed):
                run(folder / f"at{cry_at}", "adaptive", Onlooker(cry_at))
            assert outcome(run(folder / f"at{cry_at}", "adaptive")) == whole
