"""`bandit`: beliefs by hand, and what it learns from a record."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.record import Record, Row, Value
from perdure.agent.strategies.bandit import DOUBT, NOISE, Bandit, Belief, kind_of, paid, payments, posterior
from perdure.agent.strategies.contract import Decision
from perdure.curriculum.strategies import BanditStrategy
from tests.agent.strategies.situations import Trials, curriculum, situation

TASKS = ("first", "second", "third")


def config() -> Any:
    return curriculum({"type": "bandit"})


def bandit(**changes: Any) -> Bandit:
    return Bandit(BanditStrategy(type="bandit", num_prompts=2, k=1, **changes))


def scores(*values: float) -> dict[str, Value]:
    return {name: Value(value, 0.0, 10) for name, value in zip((*TASKS, "old"), values, strict=True)}


def record(*rows: Row) -> Record:
    return Record(tasks=TASKS, benchmarks=("old",), rows=rows)


def row(stage: int, values: tuple[float, ...], decision: Decision | None = None) -> Row:
    one = Row(stage, TASKS[stage - 1] if stage else "base", scores=scores(*values), weights_sha256="x")
    if decision is None:
        return one
    told = tuple({"method": c.method, "figures": dict(c.figures)} for c in decision.candidates)
    return replace(one, method=decision.method, evidence=dict(decision.evidence), candidates=told)


def test_kinds() -> None:
    assert kind_of(True, 0.0) == "demonstrations and no success yet"
    assert kind_of(True, 0.05) == "demonstrations and some success"
    assert kind_of(False, 0.5) == "no demonstrations and success mostly"


def test_a_posterior_weighs_by_precision() -> None:
    # as sure of the prior as of one stage: half-way, and twice the precision
    belief = Belief(0.2, NOISE).seen(0.4)
    assert belief.mean == pytest.approx(0.3)
    assert belief.sd == pytest.approx(NOISE / math.sqrt(2))
    # two stages at once: (0.2 + 0.4 + 0.6) / 3
    assert posterior(Belief(0.2, NOISE), [0.4, 0.6]) == Belief(
        pytest.approx(0.4), pytest.approx(NOISE / math.sqrt(3)), 2
    )


@given(st.lists(st.floats(-1, 1), max_size=6))
def test_the_order_of_what_was_seen_does_not_matter(values: list[float]) -> None:
    one, other = posterior(Belief(0.1, 0.1), values), posterior(Belief(0.1, 0.1), values[::-1])
    assert one.mean == pytest.approx(other.mean) and one.sd == pytest.approx(other.sd)


def test_what_a_stage_paid() -> None:
    # second: 0.2 → 0.7; first fell by 0.1 and the benchmark by 0.3; third is still to come
    before, after = row(1, (0.9, 0.2, 0.1, 0.8)), row(2, (0.8, 0.7, 0.9, 0.5))
    life = record(row(0, (0, 0, 0, 0.8)), before, after)
    assert paid(life, before, after, weight=1.0) == pytest.approx(0.5 - 0.4)
    assert paid(life, before, after, weight=0.5) == pytest.approx(0.5 - 0.2)


def test_the_first_of_a_kind_is_tried_and_seeds_the_prior() -> None:
    table = Trials({"sft": {"after": 0.9, "kl": 0.01}, "rl": {"after": 0.51, "kl": 0.01}})
    decision = bandit().choose(situation(config(), table))
    assert len(table.asked) == 2
    assert decision.method == "sft"
    figures = decision.candidates[0].figures
    assert figures["prior_mean"] == figures["mean"] == figures["value"]
    assert figures["prior_sd"] == pytest.approx(DOUBT)
    # the scalar policy is at 0.0, which is the answer
    assert decision.evidence["kind"] == "demonstrations and success mostly"


def test_the_next_of_a_kind_is_decided_by_what_was_paid_without_trials() -> None:
    table = Trials({"sft": {"after": 0.8, "kl": 0.01}, "rl": {"after": 0.8, "kl": 0.01}})
    first = bandit().choose(situation(config(), table))
    table.asked.clear()
    # what it took cost everything: -0.9 in the benchmark
    life = record(row(0, (0.5, 0.5, 0.5, 0.9)), row(1, (0.5, 0.5, 0.5, 0.0), first))
    ((_, value),) = payments(life, str(first.evidence["kind"]), 1.0)
    assert value == pytest.approx(-0.9)
    second = bandit().choose(situation(config(), table, number=2, record=life))
    assert not table.asked
    assert second.method != first.method
    told = {one.method: one.figures for one in second.candidates}
    prior = told[first.method]["prior_mean"]
    assert prior is not None
    # the prior and one stage, as sure of either: half-way
    assert told[first.method]["mean"] == pytest.approx((prior - 0.9) / 2)
    assert told[first.method]["stages"] == 1


def test_another_kind_learns_nothing_from_it() -> None:
    table = Trials({"sft": {}, "rl": {}})
    first = bandit().choose(situation(config(), table))
    other = replace(first, evidence=dict(first.evidence) | {"kind": "no demonstrations and some success"})
    life = record(row(0, (0.5, 0.5, 0.5, 0.9)), row(1, (0.5, 0.5, 0.5, 0.0), other))
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
