"""`bandit`: beliefs by hand, and what it learns from a record."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.run.events import Measured
from perdure.agent.run.state import RunState, StageState
from perdure.agent.strategies.bandit import (
    EXTRAPOLATION_SD,
    Bandit,
    Belief,
    last_stage_value,
    posterior,
    stage_values,
)
from perdure.agent.strategies.contract import Decision
from perdure.agent.strategies.kinds import STAGE_SD, task_kind
from perdure.budget.estimate import Estimate
from perdure.budget.law.saved import Law
from perdure.budget.monitor import Reading
from perdure.curriculum.strategies import BanditStrategy
from tests.agent.strategies.situations import Trials, curriculum, situation
from tests.budget.laws import a_law

TASKS = ("first", "second", "third")


def config() -> Any:
    return curriculum({"type": "bandit"})


def bandit(**changes: Any) -> Bandit:
    return Bandit(BanditStrategy(type="bandit", num_prompts=2, k=1, **changes))


def weighing(weight: float) -> BanditStrategy:
    return BanditStrategy(type="bandit", num_prompts=2, k=1, forgetting_weight=weight)


def record(*rows: StageState) -> RunState:
    return RunState(tasks=TASKS, benchmarks=("old",), rows=rows)


def steep_law() -> Law:
    """Forgetting is half of the KL, give or take 0.02, up to 2 nats."""
    kl = (0.1, 2.0)
    widths = {"width_kl": kl, "below": (0.02, 0.02), "above": (0.02, 0.02)}
    return a_law(world="language", prompts="seen", benchmarks=("old",), kl=kl, forgetting=(0.05, 1.0), **widths)


def read(kl: float, *, final: bool = False) -> Measured:
    token, other = Estimate(kl, 0.0, 8), Estimate(9.0, 0.0, 8)
    reading = Reading(6 if final else 0, token, other, other, other, other, 1.0, "token", kl)
    return Measured(**vars(reading), stage=1, entry=not final, final=final)


def row(stage: int, decision: Decision, *, kl: tuple[float, float] = (0.0, 0.2), steps: int = 6) -> StageState:
    """A stage that was run by a decision, from one KL to another, as its journal has it."""
    return StageState(
        stage,
        TASKS[stage - 1],
        method=decision.method,
        evidence=dict(decision.evidence),
        candidates=decision.candidates,
        readings=(read(kl[0]), read(kl[1], final=True)),
        scores={name: Estimate(0.123, 0.0, 10) for name in (*TASKS, "old")},
        steps=steps,
        set_aside=decision.set_aside,
        weights_sha256="x",
    )


def test_kinds() -> None:
    assert task_kind(True, 0.0) == "demonstrations and no success yet"
    assert task_kind(True, 0.05) == "demonstrations and some success"
    assert task_kind(False, 0.5) == "no demonstrations and some success"


def test_a_posterior_weighs_by_precision() -> None:
    # as sure of the prior as of one stage: half-way, and twice the precision
    belief = Belief(0.2, STAGE_SD).updated(0.4)
    assert belief.mean == pytest.approx(0.3)
    assert belief.sd == pytest.approx(STAGE_SD / math.sqrt(2))
    # two stages at once: (0.2 + 0.4 + 0.6) / 3
    assert posterior(Belief(0.2, STAGE_SD), [0.4, 0.6]) == Belief(
        pytest.approx(0.4), pytest.approx(STAGE_SD / math.sqrt(3)), 2
    )


@given(st.lists(st.floats(-1, 1), max_size=6))
def test_the_order_of_what_was_seen_does_not_matter(values: list[float]) -> None:
    one, other = posterior(Belief(0.1, 0.1), values), posterior(Belief(0.1, 0.1), values[::-1])
    assert one.mean == pytest.approx(other.mean) and one.sd == pytest.approx(other.sd)


def test_what_a_stage_paid_is_measured_on_training_items() -> None:
    began = Decision("sft", "why", {"kind": "some", "rates": {"first": 0.9, "second": 0.2}}, set_aside=2)
    life = record(row(2, began, kl=(0.1, 0.5)))
    # second: 0.2 to 0.7; first fell by 0.1; 0.4 nats at five points a nat are 0.02. No score of the row has a say
    here = situation(config(), Trials({}), number=3, record=life, rates=(0.8, 0.7, 0.0))
    told = last_stage_value(here, weighing(1.0))
    assert told is not None and told["stage"] == 2
    assert told == pytest.approx({"stage": 2, "gain": 0.5, "lost": 0.1, "forgetting": 0.02, "value": 0.38})
    half = last_stage_value(here, weighing(0.5))
    assert half is not None and half["value"] == pytest.approx(0.44)
    # nothing is learned of a stage without a step, without rates, or that trained on what is measured
    unknown = (row(2, began, steps=0), row(2, began, kl=(0.1, math.nan)))
    trained = (row(2, replace(began, evidence={})), row(2, replace(began, set_aside=0)))
    for other in (*unknown, *trained):
        assert last_stage_value(replace(here, record=record(other)), weighing(1.0)) is None


def test_by_a_law_it_is_what_the_law_expects() -> None:
    began = Decision("sft", "why", {"kind": "some", "rates": {"first": 0.2}}, set_aside=2)
    life = record(row(1, began, kl=(0.1, 0.5)))
    here = situation(config(), Trials({}), number=2, record=life, rates=(0.7, 0.0), law=steep_law())
    told = last_stage_value(here, weighing(1.0))
    assert told is not None
    # half of 0.5 nats less half of 0.1
    assert told["forgetting"] == pytest.approx(0.2)


def test_the_first_of_a_kind_is_tried_and_seeds_the_prior() -> None:
    table = Trials({"sft": {"after": 0.9, "kl": 0.01}, "rl": {"after": 0.51, "kl": 0.01}})
    decision = bandit().choose(situation(config(), table))
    assert len(table.asked) == 2
    assert decision.method == "sft"
    figures = decision.candidates[0].figures
    assert figures["prior_mean"] == figures["mean"] == figures["value"]
    assert figures["prior_sd"] == pytest.approx(EXTRAPOLATION_SD)
    assert decision.set_aside == 2
    assert decision.evidence["rates"] == {"first": 1.0} and decision.evidence["rate"] == 1.0
    assert decision.evidence["kind"] == "demonstrations and some success"


def test_the_next_of_a_kind_is_decided_by_what_was_paid_without_trials() -> None:
    table = Trials({"sft": {"after": 0.8, "kl": 0.01}, "rl": {"after": 0.8, "kl": 0.01}})
    first = bandit().choose(situation(config(), table))
    table.asked.clear()
    # what it took unlearned the task: from 1 to 0.1, and 0.2 nats at five points a nat
    life = record(row(1, first))
    second = bandit().choose(situation(config(), table, number=2, record=life, rates=(0.1, 1.0)))
    assert not table.asked and second.steps_spent == 0
    assert second.evidence["paid"]["value"] == pytest.approx(-0.91)
    assert stage_values(life, second.evidence, str(first.evidence["kind"])) == [(first.method, pytest.approx(-0.91))]
    # it stands in the record from now on, and the third knows of both
    later = record(*life.rows, row(2, second, kl=(0.2, 0.2)))
    third = bandit().choose(situation(config(), table, number=3, record=later, rates=(0.1, 1.0, 1.0)))
    assert [value for _, value in stage_values(later, third.evidence, str(first.evidence["kind"]))] == [
        pytest.approx(-0.91),
        pytest.approx(0.0),
    ]
    assert second.method != first.method
    told = {one.method: one.figures for one in second.candidates}
    prior = told[first.method]["prior_mean"]
    assert prior is not None
    # the prior and one stage, as sure of either: half-way
    assert told[first.method]["mean"] == pytest.approx((prior - 0.91) / 2)
    assert told[first.method]["stages"] == 1


def test_another_kind_learns_nothing_from_it() -> None:
    table = Trials({"sft": {}, "rl": {}})
    first = bandit().choose(situation(config(), table))
    other = replace(first, evidence=dict(first.evidence) | {"kind": "no demonstrations and some success"})
    life = record(row(1, other))
    table.asked.clear()
    bandit().choose(situation(config(), table, number=2, record=life))
    assert len(table.asked) == 2


def test_at_a_seed_it_draws_the_same_and_at_others_not_always() -> None:
    table = Trials({"sft": {"after": 0.7, "kl": 0.01}, "rl": {"after": 0.7, "kl": 0.01}})
    chosen = [bandit().choose(situation(config(), table, seed=seed)).method for seed in range(20)]
    again = [bandit().choose(situation(config(), table, seed=seed)).method for seed in range(20)]
    assert chosen == again
    assert set(chosen) == {"sft", "rl"}


def test_where_every_trial_broke_it_takes_the_first() -> None:
    table = Trials({"sft": {"after": math.nan, "kl": math.nan}, "rl": {"after": math.nan, "kl": math.nan}})
    decision = bandit().choose(situation(config(), table))
    assert decision.method == "sft"
    assert "no trial" in decision.reason


def test_every_candidate_is_journaled_whatever_became_of_it() -> None:
    broken = {"after": math.nan, "kl": math.nan}
    table = Trials({"sft": {"after": 0.7, "kl": 0.01}, "rl": broken, "tilt": {"after": 0.9, "seconds_a_step": 3.0}})
    first = bandit(max_seconds=100).choose(situation(config(), table))
    told = {one.method: one.figures for one in first.candidates}
    assert first.method == "sft" and first.evidence["ruled_out"] == ["rl", "tilt"]
    assert "drawn" in told["sft"] and "drawn" not in told["rl"] and "drawn" not in told["tilt"]
    assert (told["rl"]["steps"], told["tilt"]["gain"]) == (8, pytest.approx(0.4))
    # the next of the kind knows nothing of the two, and names them all the same
    second = bandit().choose(situation(config(), table, number=2, record=record(row(1, first))))
    assert [(one.method, bool(one.figures)) for one in second.candidates] == [
        ("sft", True),
        ("rl", False),
        ("tilt", False),
    ]


def test_whom_the_first_stage_had_no_steps_for_the_next_one_tries() -> None:
    table = Trials({"sft": {"after": 0.7}, "rl": {"after": 0.6}, "tilt": {"after": 0.9, "kl": 0.01}})
    # a quarter of 40 steps is 10: two get 5, and then the third has all 10 to itself
    first = bandit().choose(situation(config(), table, steps=40))
    assert table.asked == [("sft", 5), ("rl", 5)] and first.evidence["untried"] == ["tilt"]
    assert "prior_mean" not in {one.method: one.figures for one in first.candidates}["tilt"]
    table.asked.clear()
    life = record(row(1, first))
    second = bandit().choose(situation(config(), table, steps=40, number=2, record=life))
    assert table.asked == [("tilt", 10)] and second.steps_spent == 10 and second.evidence["untried"] == []
    told = {one.method: one.figures for one in second.candidates}
    before = {one.method: one.figures for one in first.candidates}
    assert all("drawn" in told[method] for method in ("sft", "rl", "tilt"))
    assert told["sft"]["prior_mean"] == before["sft"]["prior_mean"]
    table.asked.clear()
    life = record(*life.rows, row(2, second))
    third = bandit().choose(situation(config(), table, steps=40, number=3, record=life))
    assert not table.asked and all("drawn" in one.figures for one in third.candidates)


def test_where_no_answer_was_ever_right_it_imitates_whatever_is_drawn() -> None:
    nothing = {"before": 0.0, "after": 0.0}
    table = Trials({"rl": nothing | {"kl": 0.0}, "sft": nothing | {"kl": 0.5}})
    for seed in range(10):
        decision = bandit().choose(situation(config(), table, rates=(0.0,), seed=seed))
        # by value `rl` would be drawn: it gains nothing either, and does not move
        assert decision.method == "sft"
        assert [one.method for one in decision.candidates if "drawn" in one.figures] == ["sft"]


def test_the_trials_of_the_first_stage_count() -> None:
    table = Trials({"sft": {}, "rl": {}})
    assert bandit().choose(situation(config(), table)).steps_spent == 24
    assert bandit(trials_count=False).choose(situation(config(), table)).steps_spent == 0
