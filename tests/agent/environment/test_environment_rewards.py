"""What a stage is worth, by hand; and that the rewards of a run add up to what they are said to add up to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from perdure.agent.differences import differences
from perdure.agent.environment.rewards import RewardParts, reward_parts, reward_weights
from perdure.budget.errors import ConfigError
from perdure.budget.estimate import Estimate
from perdure.curriculum.environment import Environment
from perdure.eval.metrics import all_metrics
from tests.agent.environment.toy import toy


def weights(gain: float, forgetting: float, benchmark: float) -> Environment:
    return Environment(gain_weight=gain, forgetting_weight=forgetting, benchmark_weight=benchmark)


def scores(**values: float) -> dict[str, Estimate]:
    return {name: Estimate(value, None, 10) for name, value in values.items()}


def test_gain_and_forgetting_are_told_apart() -> None:
    # The second of three stages: its own task rises by 0.4 and the third by 0.1, together 0.5 / 3; the first falls by
    # 0.3 / 3; the benchmarks fall by 0.1 and rise by 0.2, so that their mean drop is -0.05.
    before = scores(a=0.9, b=0.3, c=0.5, x=0.8, y=0.6)
    after = scores(a=0.6, b=0.7, c=0.6, x=0.7, y=0.8)
    parts = reward_parts(before, after, earlier=["a"], later=["b", "c"], benchmarks=["x", "y"])
    assert (parts.gain, parts.forgetting, parts.benchmark_drop) == pytest.approx((0.5 / 3, 0.1, -0.05))
    # 2 * 0.5 / 3 - 3 * 0.1 - 4 * (-0.05) = 0.2333…
    assert parts.reward(weights(2, 3, 4)) == pytest.approx(1 / 3 - 0.3 + 0.2)


def test_a_run_without_benchmarks_drops_none() -> None:
    found = reward_parts(scores(a=0.0), scores(a=1.0), earlier=[], later=["a"], benchmarks=[])
    values = (found.gain, found.forgetting, found.benchmark_drop)
    assert found == RewardParts(1.0, 0.0, 0.0) or values == (1.0, 0.0, 0.0)


@given(st.integers(1, 5), st.integers(0, 3), st.integers(0, 10**6))
def test_the_rewards_of_a_run_are_the_rise_of_accuracy_less_the_benchmark_drop(
    stages: int, benchmarks: int, seed: int
) -> None:
    table = np.random.default_rng(seed).random((stages + 1, stages + benchmarks))
    names = [f"t{index}" for index in range(stages)] + [f"b{index}" for index in range(benchmarks)]
    rows = [scores(**dict(zip(names, map(float, row), strict=True))) for row in table]
    total = sum(
        reward_parts(
            rows[stage], rows[stage + 1], earlier=names[:stage], later=names[stage:stages], benchmarks=names[stages:]
        ).reward(Environment())
        for stage in range(stages)
    )
    found = all_metrics(table[:, :stages], table[:, stages:] if benchmarks else None)
    accuracy, drop = found["average_accuracy"], found["benchmark_drop"] or 0.0
    assert accuracy is not None
    assert total == pytest.approx(accuracy - table[0, :stages].mean() - drop)


def test_an_argument_wins_over_the_curriculum_and_the_curriculum_over_one() -> None:
    told = Environment(forgetting_weight=3, benchmark_weight=0)
    assert reward_weights(None, None, None, None) == weights(1, 1, 1)
    assert reward_weights(told, None, None, None) == weights(1, 3, 0)
    assert reward_weights(told, 2, 0, None) == weights(2, 0, 0)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused_wherever_it_stands(wrong: float) -> None:
    with pytest.raises(ConfigError, match="finite and not below 0"):
        reward_weights(None, None, wrong, None)
    with pytest.raises(ValidationError):
        Environment(gain_weight=wrong)


def test_a_run_that_was_begun_before_there_was_the_section_goes_on() -> None:
    now = toy().model_dump(mode="json")
    begun = {name: value for name, value in now.items() if name != "environment"}
    assert differences("curriculum", begun, now) == []
    weighted = toy(environment={}).model_dump(mode="json")
    assert differences("curriculum", begun, weighted)[0].startswith("curriculum.environment: was None")
