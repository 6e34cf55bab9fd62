"""`race` on forks out of a table: its rungs, who remains, and what it says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError

from perdure.agent.strategies.contract import Decision, TrialResult
from perdure.agent.strategies.outlook import share_of_full_rate
from perdure.agent.strategies.probe import full_rate
from perdure.agent.strategies.race import Race
from perdure.agent.strategies.rungs import looks_of, losses, plan_rungs, remaining, survivors
from perdure.budget.errors import ConfigError
from perdure.curriculum.strategies import RaceStrategy
from perdure.eval.sampled_rewards import last_items
from tests.agent.environment.toy import toy
from tests.agent.strategies.situations import Trials, curriculum, reading, situation, trial


def settings(**changes: Any) -> RaceStrategy:
    return RaceStrategy.model_validate({"type": "race", "share": 0.25, "min_gain": None} | changes)


@dataclass
class Forks:
    """Figures of each candidate at each rung; the last row holds for all later rungs."""

    table: Mapping[str, Sequence[Mapping[str, Any]]]
    asked: list[tuple[str, int, int | None, float | None]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    spent: set[int] = field(default_factory=set)

    def advance(
        self, method: str, rung: int, *, spent: int, steps: int | None = None, seconds: float | None = None
    ) -> TrialResult:
        self.asked.append((method, rung, steps, seconds))
        self.spent.add(spent)
        rows = self.table[method]
        row = dict(rows[min(rung, len(rows)) - 1])
        ended = row.pop("ended", False)
        made = row.pop("steps", steps or rung)
        found = trial(method, steps=made, **row)
        return TrialResult(**vars(found) | {"ended": ended})

    def drop(self, method: str) -> None:
        self.dropped.append(method)


def raced(forks: Forks, train: Mapping[str, Any] | None = None, **changes: Any) -> Decision:
    config = curriculum({"type": "race"}, **({} if train is None else {"train": dict(train)}))
    here = situation(config, Trials({}), methods=list(forks.table), fork=lambda num_prompts, k: forks)
    return Race(settings(**changes)).choose(here)


def test_the_better_half_goes_on_and_the_losers_steps_are_counted() -> None:
    forks = Forks(
        {
            "sft": [{"after": 0.6}],
            "rl": [{"after": 0.55}],
            "tilt": [{"after": 0.51}],
            "low_lr_sft": [{"after": 0.505}],
        }
    )
    decision = raced(forks)
    # a quarter of 100 steps: two lose 6 at the first rung, one 12 at the second, 24 in all
    assert [one[:3] for one in forks.asked] == [
        *((method, 1, 6) for method in forks.table),
        ("sft", 2, 12),
        ("rl", 2, 12),
    ]
    assert forks.dropped == ["tilt", "low_lr_sft", "rl"]
    assert (decision.method, decision.steps_spent, decision.set_aside) == ("sft", 24, 128)
    assert forks.spent == {24} and not decision.whole_schedule
    first, second = decision.evidence["rungs"]
    assert (first["kept"], first["out"]) == (["sft", "rl"], ["tilt", "low_lr_sft"])
    assert (second["kept"], second["out"]) == (["sft"], ["rl"])
    assert first["figures"]["tilt"]["gain"] == pytest.approx(0.01)
    # 2 seconds a step, one of them training: the losers' 24 steps, and what the winner's 12 took beside training
    assert decision.evidence["trial_steps"] == 24
    assert decision.evidence["trial_seconds"] == pytest.approx(2 * 24 + 12)
    assert "after 2 rungs" in decision.reason


def test_one_that_falls_before_it_rises_is_carried_to_the_last_rung() -> None:
    forks = Forks(
        {
            "sft": [{"after": 0.3}, {"after": 0.9}],
            "low_lr_sft": [{"after": 0.29}],
            "rl": [{"after": 0.6}],
            "tilt": [{"after": 0.55}],
        }
    )
    assert raced(forks).method == "sft"
    assert forks.dropped == ["low_lr_sft", "tilt", "rl"]


def test_of_those_that_are_not_told_apart_the_first_named_wins() -> None:
    # gains of 0.10 and 0.12 in the trial, whose errors are 0.05 each or 0.001
    def decided(first: str, second: str, stderr: float) -> Decision:
        figures = {"sft": {"after": 0.6, "stderr": stderr}, "rl": {"after": 0.62, "stderr": stderr}}
        return raced(Forks({method: [figures[method]] for method in (first, second)}))

    unclear = decided("sft", "rl", 0.05)
    assert unclear.method == "sft" and unclear.reason.startswith("not told apart from the best, and named before it")
    assert decided("rl", "sft", 0.05).reason.startswith("best of 2")
    assert {decided("sft", "rl", 0.001).method, decided("rl", "sft", 0.001).method} == {"rl"}


def test_before_the_last_rung_the_uncertain_gets_the_benefit_of_the_doubt() -> None:
    table = {
        "sft": [{"after": 0.6, "kl": 0.0}],
        "rl": [{"after": 0.52, "kl": 0.0, "stderr": 0.001}],
        "tilt": [{"after": 0.51, "kl": 0.0, "stderr": 0.05}],
        "rl_kl": [{"after": 0.50, "kl": 0.0}],
    }
    forks = Forks(table)
    raced(forks)
    assert forks.dropped[:2] == ["rl", "rl_kl"]


def test_one_that_the_cap_ended_takes_no_further_step_and_is_not_extrapolated() -> None:
    forks = Forks(
        {
            "sft": [{"after": 0.6, "kl": 0.9, "steps": 4, "ended": True}],
            "rl": [{"after": 0.51, "kl": 0.001}],
            "tilt": [{"after": 0.5, "kl": 0.001}],
        }
    )
    decision = raced(forks, rungs=[10, 20])
    assert [one[:2] for one in forks.asked] == [("sft", 1), ("rl", 1), ("tilt", 1), ("rl", 2)]
    figures = decision.evidence["rungs"][0]["figures"]["sft"]
    assert figures["predicted_gain"] == pytest.approx(0.1) and figures["ended_by_cap"] == 1
    # 0.1 less 0.045 of forgetting, against the little that rl's 0.01 comes to in 70 steps
    assert (decision.method, decision.steps_spent, decision.evidence["trial_steps"]) == ("sft", 30, 30)


def test_what_broke_is_out_and_what_cannot_succeed_imitates() -> None:
    nothing = {"before": 0.0, "after": 0.0}
    broken = {"after": math.nan, "kl": math.nan}
    forks = Forks({"rl": [nothing], "low_lr_sft": [nothing], "sft": [nothing], "tilt": [broken]})
    decision = raced(forks)
    assert (decision.method, decision.evidence["ruled_out"]) == ("low_lr_sft", ["tilt"])
    assert "nothing to reinforce" in decision.reason
    assert raced(Forks({"sft": [broken], "rl": [broken]})).reason.startswith("no candidate gave a usable result")


def test_without_a_right_answer_in_many_the_first_that_imitates_costs_nothing() -> None:
    config = curriculum({"type": "race"})
    forks = Forks({"rl": [{}], "low_lr_sft": [{}], "sft": [{}]})
    made: dict[str, Any] = {"methods": list(forks.table), "fork": lambda num_prompts, k: forks}
    here = situation(config, Trials({}), rates=(0.0, 0.0, 0.0), **made)
    count = len(last_items(here.task, 128))
    decision = Race(settings(k=math.ceil(100 / count))).choose(here)
    assert (decision.method, decision.steps_spent, decision.set_aside, forks.asked) == ("low_lr_sft", 0, 0, [])
    assert decision.evidence["rate"] == 0 and "nothing to reinforce" in decision.reason
    # fewer samples may miss what is there, and a right one is a reason to race
    assert Race(settings(k=1)).choose(here).evidence["rungs"]
    some = situation(config, Trials({}), rates=(0.01, 0.0, 0.0), **made)
    raced_after_all = Race(settings(k=math.ceil(100 / count))).choose(some).evidence
    # three candidates of eight answers each, and those that were sampled before them
    assert raced_after_all["rungs"] and raced_after_all["trial_answers"] == 3 * 8 + math.ceil(100 / count) * count


def test_rungs_in_seconds_end_the_stage_sooner_on_its_whole_schedule() -> None:
    forks = Forks({"sft": [{"after": 0.6}], "rl": [{"after": 0.55, "steps": 7}]})
    decision = raced(forks, rung_seconds=[3.0, 8.0])
    assert forks.asked == [("sft", 1, None, 3.0), ("rl", 1, None, 3.0), ("sft", 2, None, 5.0), ("rl", 2, None, 5.0)]
    assert forks.spent == {0}
    assert (decision.method, decision.steps_spent, decision.whole_schedule) == ("sft", 7, True)
    assert raced(forks, rung_seconds=[3.0], trials_count=False).steps_spent == 0


def test_the_others_start_only_where_the_first_is_expected_to_bring_little() -> None:
    def decided(forks: Forks, **changes: Any) -> Decision:
        return raced(forks, rungs=[10], min_gain=0.5, **changes)

    # 0.05 in 10 of 100 steps is 0.33 of the 0.5 that are left, less 0.05 for a nat; 0.02 is 0.17
    enough, little = {"after": 0.55, "kl": 0.0}, {"after": 0.52, "kl": 0.0}
    alone = Forks({"sft": [enough], "rl": [little]})
    decision = decided(alone)
    assert [one[:2] for one in alone.asked] == [("sft", 1)] and alone.spent == {0}
    assert (decision.method, decision.steps_spent, decision.evidence["trial_steps"]) == ("sft", 0, 0)
    assert decision.evidence["untried"] == ["rl"] and decision.whole_schedule
    assert decision.reason.startswith("worth 65% of what is left to gain, as expected after 10 steps, so that no other")
    both = Forks({"rl": [little], "sft": [enough]})
    decision = decided(both)
    assert [one[:2] for one in both.asked] == [("rl", 1), ("sft", 1)]
    assert (decision.method, decision.steps_spent, decision.whole_schedule) == ("sft", 10, True)
    assert decision.evidence["untried"] == []
    # whom the cap has ended, who loses, who broke, and rewards above 1 let the others start
    broken, above = {"after": math.nan, "kl": math.nan}, {"before": 1.0, "after": 2.0}
    for row in ({"after": 0.8, "ended": True}, {"after": 0.4}, broken, above):
        forks = Forks({"sft": [row], "rl": [little]})
        decided(forks)
        assert len(forks.asked) == 2
    assert decided(Forks({"rl": [little], "sft": [enough]}), trials_count=False).steps_spent == 0


def test_a_stage_is_as_many_times_a_rung_as_its_learning_rates_sum_to_more() -> None:
    rows: dict[str, Sequence[Mapping[str, Any]]] = {"sft": [{"kl": 0.01}], "rl": [{"kl": 0.01}]}
    decision = raced(
        Forks(rows),
        {"learning_rate": 0.1, "lr_scheduler_type": "linear", "warmup_steps": 0},
        rungs=[20],
        trials_count=False,
    )
    figures = {one.method: one.figures for one in decision.candidates}["sft"]
    # a line from 1 to 0 over 100 steps sums to 50, and over the first 20 to 18
    assert figures["predicted_kl"] == pytest.approx(0.01 * 50 / 18)


def test_a_warm_up_without_a_schedule_counts_where_the_schedule_is_constant() -> None:
    # a rise over 20 of 100 steps is half of them
    for train, share in (({"warmup_steps": 20}, 0.9), ({}, 1.0)):
        one = situation(toy(train=train), Trials({}), methods=["sft"])
        assert full_rate(one, "sft", 100) == pytest.approx(share)


def test_no_race_where_there_is_one_method_or_no_budget() -> None:
    config = curriculum({"type": "race"})
    alone = situation(config, Trials({}), methods=["rl"])
    assert Race(settings()).choose(alone).reason == "it alone can learn the task"
    above = situation(config, Trials({}), methods=["sft", "rl"], entry=reading(1.5))
    assert "no budget" in Race(settings()).choose(above).reason


def test_half_remains_two_before_the_last_rung_and_then_one() -> None:
    assert remaining(8, 3) == (4, 2, 1)
    assert remaining(5, 2) == (3, 1)
    assert remaining(2, 3) == (2, 2, 1)
    assert remaining(4, 1) == (1,)
    # two of four are out at 10, one at 30
    assert losses((10, 30), 4) == 50 and losses((2.5,), 3) == 5
    # 5 to the first rung and 3 of them to the second
    assert looks_of(settings(rungs=[2, 4]), 5) == 8
    assert looks_of(settings(), 4) == 6


def test_one_of_each_sort_survives() -> None:
    ranked = ["a", "b", "c", "d"]
    assert survivors(ranked, 2, [{"c", "d"}, {"a", "b"}]) == ["a", "c"]
    assert survivors(ranked, 2, [{"a", "b", "c", "d"}, {"d"}]) == ["a", "d"]
    # b is the only one of its sort, so that a makes room
    assert survivors(ranked, 2, [{"b"}, {"c"}]) == ["b", "c"]
    assert survivors(ranked, 1, [{"d"}, {"a"}]) == ["a"]
    assert survivors(ranked, 2, [set(), {"a"}]) == ["a", "b"]


def test_rungs_fit_the_stage() -> None:
    def plan(steps: int, count: int = 4, **changes: Any) -> Any:
        return plan_rungs(settings(**changes), "maths", {f"m{index}": steps for index in range(count)})

    # a quarter of 40 is 10: four of 2 steps, below 5; three of 3; two of 10
    assert (plan(40).entrants, plan(40).steps) == (2, (10,))
    assert (plan(40, min_steps=2).steps, plan(40, min_steps=2).lost) == ((2, 4), 8)
    assert plan(4).steps == (1,)
    with pytest.raises(ConfigError, match=r"stage 'maths' has 1 step by m0, and a race of two needs 4"):
        plan(1)
    with pytest.raises(ConfigError, match=r"the last is at step 30, but stage 'maths' has 60 steps, 50 of which its l"):
        plan(60, rungs=[10, 30])
    assert plan(81, rungs=[10, 30]).lost == 50
    with pytest.raises(ConfigError, match=r"last is at step 30, but stage 'maths' has 30 steps; the last rung must"):
        plan(30, rungs=[10, 30], trials_count=False)
    with pytest.raises(ConfigError, match="has 1 step by m0, and a race of two needs 2"):
        plan(1, rung_seconds=[1.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": ["sft"]}, "at least 2 items"),
        ({"rungs": [0]}, "greater than or equal to 1"),
        ({"rungs": [5, 5]}, "rungs must rise, and 5 follows 5"),
        ({"rung_seconds": [-1]}, "greater than 0"),
        ({"rungs": [5], "rung_seconds": [1]}, "give one of them"),
        ({"rungs": []}, "at least 1 item"),
        ({"min_gain": 0}, "greater than 0"),
    ],
)
def test_a_race_that_is_none_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


def test_the_rates_of_the_first_steps_of_a_schedule() -> None:
    assert share_of_full_rate("linear", 0.0, 0.2) == pytest.approx(0.18)
    # a triangle up to 0.1 of height a half, then the mean of a half cosine's first half, 0.5 + 1 / pi
    assert share_of_full_rate("linear", 0.1, 0.05) == pytest.approx(0.0125)
    assert share_of_full_rate("cosine", 0.0, 0.5) == pytest.approx(0.25 + 1 / (2 * math.pi))
    assert share_of_full_rate("constant_with_warmup", 0.1, 0.3) == pytest.approx(0.25)
    assert share_of_full_rate("constant", 0.1, 0.3) == 0.3
