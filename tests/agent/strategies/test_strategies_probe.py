"""`probe` on trials out of a table."""

import math
from typing import Any

import pytest

from perdure.agent.strategies.probe import Probe
from perdure.curriculum.strategies import ProbeStrategy
from tests.agent.strategies.situations import Trials, curriculum, reading, situation


def probe(**changes: Any) -> Probe:
    return Probe(ProbeStrategy(type="probe", **changes))


def config(**changes: Any) -> Any:
    return curriculum({"type": "probe"}, **changes)


def test_it_takes_the_best_trade_of_gain_and_expected_forgetting() -> None:
    # both gain alike, but sft is at the cap of 1 nat after a few steps; low_lr_sft stands still
    table = Trials(
        {
            "sft": {"after": 0.55, "kl": 0.5},
            "low_lr_sft": {"after": 0.5, "kl": 0.001},
            "rl_kl": {"after": 0.55, "kl": 0.02},
        }
    )
    decision = probe().choose(situation(config(), table))
    assert decision.method == "rl_kl"
    assert "rl_kl" not in decision.reason and "best of 3" in decision.reason
    figures = {one.method: one.figures for one in decision.candidates}
    # 25 steps of 100 for three: 8 each; 0.05 of 0.5 in 8 steps and 0.02 nats, so 2.5 a nat, and 0.05 / 8 a second
    assert figures["rl_kl"]["gain_per_nat"] == pytest.approx(2.5)
    assert figures["rl_kl"]["gain_per_second"] == pytest.approx(0.05 / 8)
    assert figures["rl_kl"]["predicted_kl"] == pytest.approx(0.02 * 100 / 8)
    assert figures["rl_kl"]["predicted_forgetting"] == pytest.approx(0.05 * 0.25)
    assert figures["sft"]["predicted_kl"] == pytest.approx(1.0)
    assert table.asked == [("sft", 8), ("low_lr_sft", 8), ("rl_kl", 8)]


def test_its_cost_is_told_and_never_more_than_its_share() -> None:
    table = Trials({"sft": {}, "rl": {}, "tilt": {}})
    evidence = probe(share=0.1).choose(situation(config(), table)).evidence
    # a tenth of 100 steps for three: 3 each; a trial of the table says that it took 2 seconds a step
    assert (evidence["trial_steps"], evidence["trial_share"]) == (9, pytest.approx(0.09))
    assert evidence["trial_seconds"] == pytest.approx(18)
    assert evidence["untried"] == []


def test_where_the_steps_are_few_the_first_are_tried_and_the_others_named() -> None:
    table = Trials({"sft": {}, "rl": {}, "tilt": {}})
    decision = probe().choose(situation(config(), table, steps=9))
    assert table.asked == [("sft", 1), ("rl", 1)]
    assert decision.evidence["untried"] == ["tilt"]


def test_where_there_is_no_step_at_all_it_takes_the_first_and_says_so() -> None:
    table = Trials({"sft": {}, "rl": {}})
    decision = probe().choose(situation(config(), table, steps=3))
    assert (decision.method, table.asked) == ("sft", [])
    assert "too short" in decision.reason


def test_one_method_needs_no_trial() -> None:
    table = Trials({"rl": {}})
    assert probe().choose(situation(config(), table)).method == "rl"
    assert not table.asked


def test_nothing_is_tried_with_what_is_not_there() -> None:
    table = Trials({"sft": {}, "rl": {}})
    decision = probe().choose(situation(config(), table, entry=reading(1.5)))
    assert "no budget" in decision.reason and not table.asked
    # `recover` may bring it down again, so that the stage is lived all the same
    lived = config(budget={"kl": 1.0, "enforce": ["rollback", "recover"], "generic": "builtin:skills"})
    probe().choose(situation(lived, table, entry=reading(1.5)))
    assert len(table.asked) == 2


def test_a_trial_that_broke_is_ruled_out() -> None:
    table = Trials({"sft": {"after": math.nan, "kl": math.nan}, "rl": {"after": 0.4}})
    decision = probe().choose(situation(config(), table))
    assert decision.method == "rl"
    assert decision.evidence["ruled_out"] == ["sft"]


def test_max_seconds_rules_out_what_takes_too_long() -> None:
    table = Trials({"sft": {"after": 0.51}, "rl": {"after": 0.9, "seconds_a_step": 3.0}})
    # 100 steps of 3 seconds are 300
    assert probe(max_seconds=200).choose(situation(config(), table)).method == "sft"
    assert probe(max_seconds=400).choose(situation(config(), table)).method == "rl"


def test_under_observe_no_cap_holds_the_gain() -> None:
    table = Trials({"sft": {"after": 0.6, "kl": 0.5}, "rl": {"after": 0.501, "kl": 0.0001}})
    assert probe(forgetting_weight=0).choose(situation(config(), table)).method == "sft"
    seen = probe().choose(situation(config(budget={"kl": 1.0, "enforce": "observe"}), table))
    figures = {one.method: one.figures for one in seen.candidates}
    assert figures["sft"]["predicted_kl"] > 1


def test_a_falling_rate_is_fewer_steps_at_the_full_one() -> None:
    table = Trials({"sft": {"kl": 0.012}, "rl": {"kl": 0.012}})
    flat = config(train={"lr_scheduler_type": "linear"})
    figures = probe().choose(situation(flat, table)).candidates[0].figures
    # 12 steps of trial; a line over 100 steps is worth 50 at its peak
    assert figures["predicted_kl"] == pytest.approx(0.012 * 50 / 12)
