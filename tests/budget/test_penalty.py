"""The controllers of the penalty: their steps by hand, and whether they bring a KL to where it should be."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.config import PenaltyConfig
from perdure.budget.penalty import MAX_WEIGHT, Controller, dual_ascent, proportional


def test_dual_ascent_by_hand() -> None:
    # at twice the target the weight rises by the rate, at the target it stays, at half of it it falls by half the rate
    assert dual_ascent(1.0, 0.4, 0.2, rate=0.05) == pytest.approx(1.05)
    assert dual_ascent(1.0, 0.2, 0.2, rate=0.05) == 1.0
    assert dual_ascent(1.0, 0.1, 0.2, rate=0.05) == pytest.approx(0.975)
    assert dual_ascent(0.01, 0.0, 0.2, rate=0.05) == 0.0


def test_proportional_by_hand() -> None:
    # the error is clipped at a fifth either way
    assert proportional(1.0, 0.22, 0.2, horizon=10) == pytest.approx(1.01)
    assert proportional(1.0, 9.0, 0.2, horizon=10) == pytest.approx(1.02)
    assert proportional(1.0, 0.0, 0.2, horizon=10) == pytest.approx(0.98)


def test_the_target_is_a_share_of_the_cap_and_the_weight_is_carried_on() -> None:
    config = PenaltyConfig(target=0.5, weight=0.3)
    assert Controller(config, 0.4).target == pytest.approx(0.2)
    assert Controller(config, 0.4).weight == 0.3
    assert Controller(config, 0.4, 7.0).weight == 7.0
    assert Controller(config, 0.4, 0.0).weight == 0.0


def test_what_is_steered_is_what_the_functions_say() -> None:
    for name, moved in (
        ("dual_ascent", dual_ascent(0.1, 1.0, 0.8, rate=0.05)),
        ("proportional", proportional(0.1, 1.0, 0.8, horizon=10)),
    ):
        controller = Controller(PenaltyConfig.model_validate({"controller": name}), 1.0)
        controller.steer(1.0)
        assert controller.weight == moved


@given(
    name=st.sampled_from(["dual_ascent", "proportional"]),
    kls=st.lists(st.floats(0) | st.just(math.nan), max_size=30),
    cap=st.floats(0, 1e300),
    weight=st.floats(1e-12, 1e12),
)
def test_the_weight_stays_a_number_between_0_and_the_largest(
    name: str, kls: list[float], cap: float, weight: float
) -> None:
    controller = Controller(PenaltyConfig.model_validate({"controller": name}), cap, min(weight, MAX_WEIGHT))
    for kl in kls:
        controller.steer(kl)
        assert 0 <= controller.weight <= MAX_WEIGHT


def test_a_kl_that_is_no_number_moves_nothing() -> None:
    controller = Controller(PenaltyConfig(), 1.0, 0.25)
    controller.steer(math.nan)
    assert controller.weight == 0.25


@pytest.mark.parametrize("name", ["dual_ascent", "proportional"])
@pytest.mark.parametrize("cap", [0.02, 0.5, 10.0])
def test_it_settles_at_the_target(name: str, cap: float) -> None:
    # a policy of one number w with KL w², pulled up by 1 a step and down by weight · 2w: at rest w = 1 / (2 weight),
    # so that the KL is the target where weight = 1 / (2 sqrt(target)); both controllers have to find it
    controller = Controller(PenaltyConfig.model_validate({"controller": name, "rate": 0.02}), cap)
    w, rate = 0.0, 0.003
    for _ in range(20_000):
        controller.steer(w * w)
        w += rate * (1 - controller.weight * 2 * w)
    assert w * w == pytest.approx(controller.target, rel=0.02)
    assert controller.weight == pytest.approx(1 / (2 * math.sqrt(controller.target)), rel=0.02)
