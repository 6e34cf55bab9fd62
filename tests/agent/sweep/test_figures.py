"""What a whole life came to, from a journal written by hand."""

import math
from typing import Any

import pytest

from perdure.agent.record import Record, read_record
from perdure.agent.sweep.figures import life_figures
from perdure.curriculum.schema import Curriculum

SCORES = ({"a": 0.5, "b": 0.5, "bench": 0.8}, {"a": 0.9, "b": 0.5, "bench": 0.7}, {"a": 0.7, "b": 0.8, "bench": 0.6})


def record() -> Record:
    """Two stages; KL 0.2 and 0.4 nats a sequence, half of it a token."""
    events: list[dict[str, Any]] = [{"event": "started", "run": "r", "tasks": ["a", "b"], "benchmarks": ["bench"]}]
    for stage, scores in enumerate(SCORES):
        kl = {"value": 0.2 * stage, "stderr": 0.0, "n": 4}
        reading = {"kl_per_token": kl | {"value": 0.1 * stage}, "kl_per_sequence": kl, "cap": 1.0, "unit": "sequence"}
        events += [
            {"event": "reading", "stage": stage, "step": 1, **reading, "within": True, "entry": False, "final": True}
        ]
        events += [
            {"event": "score", "stage": stage, "name": k, "value": v, "stderr": 0.0, "n": 4, "file": ""}
            for k, v in scores.items()
        ]
        commit = {"name": "ab"[stage - 1], "method": "sft", "steps": 1, "seconds": 2.0, "weights_sha256": "x"}
        events += [{"event": "commit", "stage": stage, **commit}]
    return read_record([{"time": float(number), **event} for number, event in enumerate(events)])


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


def test_figures_of_a_life() -> None:
    found = life_figures(record(), curriculum(1.0))
    # (0.7 + 0.8) / 2; a fell from its best, 0.9, to 0.7; the benchmark from 0.8 to 0.6; three rows of two seconds
    assert found["average_accuracy"] == pytest.approx(0.75)
    assert found["task_forgetting"] == pytest.approx(0.2)
    assert found["benchmark_drop"] == pytest.approx(0.2)
    assert (found["kl_spent"], found["life_seconds"]) == (0.4, 6.0)
    # floors of 0.5 to 0.7 and 0.5 to 0.8: -ln(2) - (ln 0.7 + ln 0.3) / 2 = 0.0872, and 0.2231; `seen` takes their mean
    floors = [-math.log(2) - (math.log(b) + math.log(1 - b)) / 2 for b in (0.7, 0.8)]
    assert floors == pytest.approx([0.0872, 0.2231], abs=1e-4)
    assert found["excess"] == pytest.approx(0.4 - sum(floors) / 2)


def test_of_greedy_answers_no_excess_is_told() -> None:
    assert "excess" not in life_figures(record(), curriculum(0.0))
