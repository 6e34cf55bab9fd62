"""`probe` on trials out of a table."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.run.state import RunState, StageState
from perdure.agent.strategies.outlook import EarlierTasks
from perdure.agent.strategies.probe import Probe, learned_earlier, trial_steps
from perdure.budget.estimate import Estimate
from perdure.curriculum.strategies import ProbeStrategy
from tests.agent.strategies.situations import Trials, curriculum, reading, situation, trial


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
    # the 24 steps of the trials are taken off the stage: 76 are left
    assert decision.steps_spent == 24
    assert figures["rl_kl"]["predicted_kl"] == pytest.approx(0.02 * 76 / 8)
    assert figures["rl_kl"]["predicted_forgetting"] == pytest.approx(0.05 * 0.19)
    assert figures["sft"]["predicted_kl"] == pytest.approx(1.0)
    assert table.asked == [("sft", 8), ("low_lr_sft", 8), ("rl_kl", 8)]


def test_its_cost_is_told_and_never_more_than_its_share() -> None:
    table = Trials({"sft": {}, "rl": {}, "tilt": {}})
    evidence = probe(share=0.1, min_steps=3).choose(situation(config(), table)).evidence
    # a tenth of 100 steps for three: 3 each; a trial of the table says that it took 2 seconds a step
    assert (evidence["trial_steps"], evidence["trial_share"]) == (9, pytest.approx(0.09))
    assert evidence["trial_seconds"] == pytest.approx(18)
    assert evidence["trial_answers"] == 3 * 8
    assert evidence["untried"] == []


def test_where_the_steps_are_few_the_first_are_tried_and_the_others_named() -> None:
    table = Trials({"sft": {}, "rl": {}, "tilt": {}})
    decision = probe().choose(situation(config(), table, steps=9))
    assert table.asked == [("sft", 1), ("rl", 1)]
    assert decision.evidence["untried"] == ["tilt"]
    assert [(one.method, bool(one.figures)) for one in decision.candidates] == [
        ("sft", True),
        ("rl", True),
        ("tilt", False),
    ]


def test_a_trial_is_not_made_shorter_than_it_should_be_but_two_are_made_if_they_can_be() -> None:
    assert trial_steps(24, 4, 5) == (6, 4)
    # 12 steps are 3 for each of four: two get 5, and 2 stay the stage's own
    assert trial_steps(12, 4, 5) == (5, 2)
    assert trial_steps(15, 4, 5) == (5, 3)
    assert trial_steps(7, 4, 5) == (3, 2)
    # one alone has nothing to be compared with
    assert trial_steps(1, 4, 5) == (0, 0)
    assert trial_steps(12, 1, 5) == (12, 1)


@given(st.integers(0, 300), st.integers(1, 12), st.integers(1, 40))
def test_trials_stay_within_their_steps(steps: int, candidates: int, least: int) -> None:
    each, tried = trial_steps(steps, candidates, least)
    assert 0 <= tried <= candidates and each * tried <= steps
    if steps < min(2, candidates):
        assert (each, tried) == (0, 0)
        return
    assert tried >= min(2, candidates)
    # nobody is left out for nothing: where all are not tried, one more at this length would not fit
    assert tried == candidates or each * (tried + 1) > steps
    # and no trial is shorter than it must be
    assert each >= min(least, steps // min(2, candidates)) >= 1


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
    # `recover` may bring it down again, so that the stage is run all the same
    recovering = config(budget={"kl": 1.0, "enforce": ["rollback", "recover"], "generic": "builtin:skills"})
    probe().choose(situation(recovering, table, entry=reading(1.5)))
    assert len(table.asked) == 2


def test_a_trial_that_broke_is_ruled_out() -> None:
    table = Trials({"sft": {"after": math.nan, "kl": math.nan}, "rl": {"after": 0.4}})
    decision = probe().choose(situation(config(), table))
    assert decision.method == "rl"
    assert decision.evidence["ruled_out"] == ["sft"]


def test_max_seconds_rules_out_what_takes_too_long() -> None:
    table = Trials({"sft": {"after": 0.51}, "rl": {"after": 0.9, "seconds_a_step": 3.0}})
    # 100 steps of 3 seconds are 300, less those of the trials: 76 steps of 228 seconds
    assert probe(max_seconds=250, trials_count=False).choose(situation(config(), table)).method == "sft"
    assert probe(max_seconds=250).choose(situation(config(), table)).method == "rl"
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
    # 12 steps of trial twice; a line over the 76 that are left is worth 38 at its peak
    assert figures["predicted_kl"] == pytest.approx(0.012 * 38 / 12)


def test_where_the_trials_do_not_count_the_stage_is_as_long_as_it_was() -> None:
    table = Trials({"sft": {"kl": 0.012}, "rl": {"kl": 0.012}})
    decision = probe(trials_count=False).choose(situation(config(), table))
    assert decision.steps_spent == 0
    assert decision.candidates[0].figures["predicted_kl"] == pytest.approx(0.012 * 100 / 12)


def test_the_line_says_how_many_cannot_be_told_from_the_best() -> None:
    clear = {"sft": {"after": 0.6, "kl": 0.01}, "rl": {"after": 0.5, "kl": 0.01}}
    assert probe().choose(situation(config(), Trials(clear))).reason.startswith("best of 2 tried for 12 steps: +")
    noisy = {
        "sft": {"after": 0.6, "kl": 0.5, "stderr": 0.2},
        "rl": {"after": 0.59, "kl": 0.01, "stderr": 0.2},
        "tilt": {"after": 0.1, "kl": 0.001},
    }
    decision = probe().choose(situation(config(), Trials(noisy)))
    # 0.59 at little KL is worth more than 0.6 held by the cap
    assert decision.method == "rl"
    assert decision.reason.startswith("best of 3 tried for 8 steps, 1 of them within noise of it: +")


def test_what_was_learned_of_earlier_tasks_is_told_by_training_items_alone() -> None:
    # the two earlier tasks are at 0.7 now, on the mean; one was at 0.2 when it was decided, of the other nothing is
    # told, so 0: 0.6 was learned. What the scorecard has plays no part
    scores = {"first": Estimate(0.9, 0.0, 9), "second": Estimate(0.9, 0.0, 9)}
    decided = StageState(1, "first", evidence={"rate": 0.2}, scores=scores)
    life = RunState(
        tasks=("first", "second", "third"),
        rows=(StageState(0, "base"), decided, StageState(2, "second", scores=scores)),
    )
    here = situation(config(), Trials({}), number=3, record=life)
    assert learned_earlier(here, trial(kept=0.7, lost=0.1)) == EarlierTasks(2, pytest.approx(0.6))
    assert learned_earlier(here, trial(kept=None)) == EarlierTasks()


def test_the_rate_at_which_a_task_began_is_journaled() -> None:
    table = Trials({"sft": {"before": 0.25}, "rl": {"before": 0.25}})
    assert probe().choose(situation(config(), table)).evidence["rate"] == 0.25


def test_where_no_answer_was_ever_right_it_does_not_stand_still() -> None:
    nothing = {"before": 0.0, "after": 0.0}
    table = Trials({"rl": nothing | {"kl": 0.0}, "sft": nothing | {"kl": 0.5}})
    found = probe().choose(situation(config(), table))
    # by value `rl` would win: it gains nothing either, and does not move
    assert found.method == "sft"
    assert "nothing to reinforce" in found.reason
