"""The beginning of a run, as it is read again."""

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_begun
from perdure.curriculum.strategies import ProbeStrategy


@pytest.mark.parametrize(
    ("budget", "probe"),
    [
        ({}, False),
        ({"probe": True}, True),
        ({"probe": False}, False),
        ({"prompts": "generic", "generic": "builtin:skills"}, True),
    ],
)
def test_a_run_from_before_the_generic_probe_goes_on_without_it(
    tmp_path: Path, budget: dict[str, Any], probe: bool
) -> None:
    curriculum = {
        "model": {"model_name_or_path": "builtin:tiny"},
        "budget": {"kl": 1.0} | budget,
        "strategy": {"type": "fixed", "method": "sft"},
        "stages": [{"name": "one", "task": {"type": "python", "path": "m:f"}}],
    }
    begun = {"run": "r", "tasks": ["one"], "benchmarks": [], "curriculum": curriculum}
    (tmp_path / "run.json").write_text(json.dumps(begun))
    started, found = read_begun(RunFolder(tmp_path), [])
    assert found.budget.probe is probe
    assert started.curriculum["budget"]["probe"] is probe


@pytest.mark.parametrize("evaluation", [{}, {"items": "auto"}])
def test_a_run_from_before_scores_in_part_goes_on_as_it_began(tmp_path: Path, evaluation: dict[str, Any]) -> None:
    curriculum = {
        "model": {"model_name_or_path": "builtin:tiny"},
        "budget": {"kl": 1.0},
        "strategy": {"type": "probe"},
        "stages": [{"name": "one", "task": {"type": "python", "path": "m:f"}}],
        "evaluation": evaluation,
    }
    begun = {"run": "r", "tasks": ["one"], "benchmarks": [], "curriculum": curriculum}
    (tmp_path / "run.json").write_text(json.dumps(begun))
    _, found = read_begun(RunFolder(tmp_path), [])
    assert isinstance(found.strategy, ProbeStrategy)
    before = ("all", ["sft", "rl_kl", "low_lr_sft", "tilt"])
    assert (found.evaluation.items, found.strategy.candidates) == (("auto", None) if evaluation else before)
