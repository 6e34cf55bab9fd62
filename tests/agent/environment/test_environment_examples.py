"""The example that compares strategies."""

from pathlib import Path

import pytest

from examples.compare import FIRST_SEED, RunResult, compare, table_of
from tests.agent.environment.toy import toy


def test_strategies_are_compared_in_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_own.py").write_text(
        "from perdure.agent.strategies.contract import Decision, Situation\n\n\n"
        "class Mine:\n"
        "    def choose(self, situation: Situation) -> Decision:\n"
        "        return Decision('sft' if 'sft' in situation.methods else 'rl', 'mine', share=1.0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = compare(toy(), range(FIRST_SEED, FIRST_SEED + 1), "mine_own:Mine")
    assert next(iter(found)) == "own" and {"sft", "rl", "chance", "rule", "probe", "bandit", "race"} <= set(found)
    # the same choices as of the constant `sft`, which falls back to `rl` where nobody writes
    assert found["own"][0].value == found["sft"][0].value
    assert len(table_of(found)) == 2 + len(found)


def test_the_best_value_stands_first_and_differences_are_of_the_same_run() -> None:
    def ended(value: float) -> RunResult:
        return RunResult(value, 0.5, 0.0, 0.1, 1.0)

    # less the best, 1 twice: -0.75 and -0.5, mean -0.625
    lines = table_of({"mixed": [ended(0.25), ended(0.5)], "best": [ended(1), ended(1)]})
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| best", "| mixed"]
    # Student's interval at one degree of freedom: 12.706 * 0.1768 / sqrt(2) = 1.588 about it
    assert "-0.625 [-2.213, 0.963] |" in lines[3]
