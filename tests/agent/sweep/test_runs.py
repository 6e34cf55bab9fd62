"""Cells as runs in run folders: dead processes, bad data, runs taken up, and what they share."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.journal import read_journal
from perdure.agent.run.log import NullView
from perdure.agent.run.state import read_state
from perdure.agent.setup import start
from perdure.agent.sweep.contract import FailedCell, FinishedCell
from perdure.agent.sweep.folder import SweepFolder
from perdure.agent.sweep.pools import LocalPool
from perdure.agent.sweep.runs import RunExecutor, _on_one_thread, finished_run
from perdure.agent.sweep.sweep import begin_sweep, read_plan
from perdure.eval.scorefile import key_of
from tests.agent.sweep.language import read_language

SWEEP = """\
curriculum: life.yaml
axes:
  - {name: how, path: stages.first.task.args.how, values: [die, fail, well, better]}
"""
pytestmark = pytest.mark.xdist_group("trl")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepFolder, dict[str, FinishedCell | FailedCell]]:
    """One worker and four cells: dead, then in its successor failed, run, and run again."""
    path = tmp_path_factory.mktemp("language")
    folder = begin_sweep(read_language(path, SWEEP), path / "sweep")
    found = {
        outcome.cell.id: outcome
        for outcome in RunExecutor(folder, LocalPool(1, folder.log)).run(read_plan(folder).cells)
    }
    return folder, found


def test_a_dead_process_and_bad_data_cost_their_own_cell_alone(
    swept: tuple[SweepFolder, dict[str, FinishedCell | FailedCell]],
) -> None:
    _, found = swept
    reasons = {cell: outcome.reason for cell, outcome in found.items() if isinstance(outcome, FailedCell)}
    assert sorted(reasons) == ["0001", "0002"]
    assert "SIGKILL" in reasons["0001"]
    assert "no such luck" in reasons["0002"]


def test_a_run_gives_one_row_a_stage(swept: tuple[SweepFolder, dict[str, FinishedCell | FailedCell]]) -> None:
    folder, found = swept
    outcome = found["0003"]
    assert isinstance(outcome, FinishedCell)
    (row,) = outcome.rows
    record = read_state(read_journal(folder.run("0003") / "journal.jsonl"))
    base, stage = record.rows
    assert (row["method"], row["stage"], row["task"], row["step"], row["steps"]) == ("sft", 1, "first", 3, 3)
    assert row["final"] is True
    assert row["accuracy"] == stage.scores["first"].value
    assert row["kl_base_to_policy"] == stage.readings[-1].kl_per_token.value > 0
    before, after = base.scores["perdure_largest"].value, stage.scores["perdure_largest"].value
    assert (row["base_score.perdure_largest"], row["score.perdure_largest"]) == (before, after)
    assert row["forgetting"] == pytest.approx(before - after)
    assert {"kl_policy_to_base", "total_variation", "l2_distributions"} <= set(row)
    assert outcome.provenance == {
        "world": "language",
        "base_id": record.rows[0].weights_sha256,
        "unit": "token",
        "prompts": "task",
        "benchmarks": ["perdure_largest"],
        "benchmark_fingerprints": {"perdure_largest": ANY},
        "model": ANY,
        "probe": "",
    }
    assert len(outcome.provenance["benchmark_fingerprints"]["perdure_largest"]) == 64


def test_scores_of_the_base_are_found_once(swept: tuple[SweepFolder, dict[str, FinishedCell | FailedCell]]) -> None:
    folder, _ = swept
    base = read_state(read_journal(folder.run("0003") / "journal.jsonl")).rows[0]
    assert sorted(base.score_files.values()) == ["scores/00-base.first.jsonl", "scores/00-base.perdure_largest.jsonl"]
    first, second = (folder.run(cell) for cell in ("0003", "0004"))
    keys = {key_of(first / file): file for file in base.score_files.values()}
    assert {file.name for file in folder.scores.iterdir()} == {f"{key}.jsonl" for key in keys}
    # The second run took them over before it began, and keeps them under the names of its own rows alone.
    for key, file in keys.items():
        assert (second / file).read_bytes() == (folder.scores / f"{key}.jsonl").read_bytes()
    assert all(file.name.startswith(("00-base.", "01-first.")) for file in (second / "scores").iterdir())


def test_runs_run_on_one_thread_unless_the_curriculum_says_otherwise(
    swept: tuple[SweepFolder, dict[str, FinishedCell | FailedCell]],
) -> None:
    folder, _ = swept
    described = json.loads(RunFolder(folder.run("0003")).description.read_text())
    assert described["curriculum"]["model"]["threads"] == 1
    curriculum = read_plan(folder).cells[0].curriculum
    own = curriculum.model_copy(update={"model": curriculum.model.model_copy(update={"threads": 2})})
    assert _on_one_thread(own) is own


class SamePool:
    """Computes items in this process."""

    def run(self, function: Callable[[Any], Any], queue: deque[Any]) -> Iterator[tuple[Any, Any]]:
        while queue:
            item = queue.popleft()
            yield item, function(item)


def test_a_run_that_was_begun_goes_on_and_one_that_is_over_is_read(tmp_path: Path) -> None:
    sweep = read_language(tmp_path, SWEEP.replace("[die, fail, well, better]", "[well]"))
    folder = begin_sweep(sweep, tmp_path / "sweep")
    (cell,) = read_plan(folder).cells
    start(_on_one_thread(cell.curriculum), folder.run(cell.id), NullView())
    (outcome,) = RunExecutor(folder, SamePool()).run([cell])
    assert isinstance(outcome, FinishedCell), outcome
    journal = folder.run(cell.id) / "journal.jsonl"
    told = journal.read_bytes()
    assert read_state(read_journal(journal)).resumed == 1
    (again,) = RunExecutor(folder, SamePool()).run([cell])
    assert again == outcome and journal.read_bytes() == told

    alone = start(_on_one_thread(cell.curriculum), tmp_path / "alone", NullView())
    run_curriculum(alone)

    def figures(one: FinishedCell) -> list[dict[str, object]]:
        return [{name: value for name, value in row.items() if "seconds" not in name} for row in one.rows]

    assert figures(finished_run(cell, tmp_path / "alone")) == figures(outcome)
