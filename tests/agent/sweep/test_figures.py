"""What a whole run came to, from a journal written by hand."""

import math
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.run.lines import from_json
from perdure.agent.run.state import RunState, read_state
from perdure.agent.sweep.figures import run_figures
from perdure.curriculum.schema import Curriculum
from perdure.eval.scorefile import ItemResult, make_score, write_scores

SCORES = ({"a": 0.5, "b": 0.5, "bench": 0.8}, {"a": 0.9, "b": 0.5, "bench": 0.7}, {"a": 0.7, "b": 0.8, "bench": 0.6})


def record(run: Path, last: dict[str, float] | None = None, spread: float = 0.0) -> RunState:
    """Two stages; KL 0.2 and 0.4 nats a sequence, half of it a token. `last`: the scores after the second.

    A score is the mean of four items, two of which are `spread` above it and two below.
    """
    events: list[dict[str, Any]] = [{"event": "started", "run": "r", "tasks": ["a", "b"], "benchmarks": ["bench"]}]
    for stage, scores in enumerate((*SCORES[:2], last or SCORES[2])):
        kl = {"value": 0.2 * stage, "stderr": 0.0, "n": 4}
        reading = {"kl_per_token": kl | {"value": 0.1 * stage}, "kl_per_sequence": kl, "cap": 1.0, "unit": "sequence"}
        events += [
            {"event": "reading", "stage": stage, "step": 1, **reading, "within": True, "entry": False, "final": True}
        ]
        for name, value in scores.items():
            items = [ItemResult(str(i), value + sign * spread) for i, sign in enumerate((-1, -1, 1, 1))]
            file = f"{stage}-{name}.jsonl"
            write_scores(run / file, make_score(name, "task", items), {}, items)
            about = {"name": name, "kind": "task", "value": value, "stderr": 0.0, "n": 4, "file": file}
            events += [{"event": "score", "stage": stage, **about}]
        commit = {"name": "ab"[stage - 1], "method": "sft", "steps": 1, "seconds": 2.0, "weights_sha256": "x"}
        events += [{"event": "commit", "stage": stage, **commit}]
    return read_state(map(from_json, events))


def curriculum(temperature: float) -> Curriculum:
    task = {"type": "python", "path": "module:function"}
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "m"},
            "budget": {"kl": 1.0, "unit": "sequence"},
            "strategy": {"type": "fixed", "method": "sft"},
            "stages": [{"name": name, "task": task} for name in "ab"],
            "evaluation": {"temperature": temperature},
        }
    )


def test_figures_of_a_run(tmp_path: Path) -> None:
    found = run_figures(record(tmp_path), curriculum(1.0), tmp_path)
    # (0.7 + 0.8) / 2; a fell from its best, 0.9, to 0.7; the benchmark from 0.8 to 0.6; two stages of two seconds,
    # and as many of the base, which one run measures for others
    assert found["average_accuracy"] == pytest.approx(0.75)
    assert found["task_forgetting"] == pytest.approx(0.2)
    assert found["benchmark_drop"] == pytest.approx(0.2)
    assert (found["kl_spent"], found["life_seconds"]) == (0.4, 4.0)
    # over four items 0.5 is (2 + 1/2)/5 = 0.5, 0.7 is 3.3/5 = 0.66 and 0.8 is 3.7/5 = 0.74; floors of 0.5 to 0.66 and
    # 0.5 to 0.74: -ln(2) - (ln 0.66 + ln 0.34) / 2 = 0.0540, and 0.1310; `seen` takes their mean
    floors = [-math.log(2) - (math.log(b) + math.log(1 - b)) / 2 for b in (0.66, 0.74)]
    assert floors == pytest.approx([0.0540, 0.1310], abs=1e-4)
    assert found["excess"] == pytest.approx(0.4 - sum(floors) / 2)


def test_the_excess_of_a_task_that_ends_all_right_is_told(tmp_path: Path) -> None:
    # 4 of 4 is 4.5/5 = 0.9 and 0 of 4 is 0.1: from 0.5 both are -ln(2) - (ln 0.9 + ln 0.1) / 2 = 0.5108
    found = run_figures(record(tmp_path, {"a": 1.0, "b": 0.0, "bench": 0.8}), curriculum(1.0), tmp_path)
    assert found["excess"] == pytest.approx(0.4 - 0.5108, abs=1e-4)


def test_what_did_not_change_has_no_floor(tmp_path: Path) -> None:
    found = run_figures(record(tmp_path, SCORES[0]), curriculum(1.0), tmp_path)
    assert found["excess"] == pytest.approx(0.4)


def test_of_greedy_answers_no_excess_is_told(tmp_path: Path) -> None:
    assert "excess" not in run_figures(record(tmp_path), curriculum(0.0), tmp_path)


def test_of_rewards_beyond_0_and_1_no_excess_is_told(tmp_path: Path) -> None:
    # rewards of -0.1 and 1.1 have the same means; as shares of a range of 1.2 they need less KL than masses would
    assert "excess" not in run_figures(record(tmp_path / "one", spread=0.6), curriculum(1.0), tmp_path / "one")
    below = record(tmp_path / "two", {"a": -0.5, "b": 0.5, "bench": 0.8})
    found = run_figures(below, curriculum(1.0), tmp_path / "two")
    assert ("excess" in found, found["average_accuracy"]) == (False, 0.0)
    assert "excess" not in run_figures(record(tmp_path), curriculum(1.0), tmp_path / "no files")


def test_of_answers_that_may_be_longer_than_the_texts_of_the_kl_no_excess_is_told(tmp_path: Path) -> None:
    found = record(tmp_path)
    for length, told in ((16, True), (32, True), (33, False)):  # the texts have at most 32 tokens
        evaluation = curriculum(1.0).evaluation.model_copy(update={"max_completion_length": length})
        asked = curriculum(1.0).model_copy(update={"evaluation": evaluation})
        assert ("excess" in run_figures(found, asked, tmp_path)) == told
