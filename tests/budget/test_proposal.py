"""A proposed cap: every figure is worked out by hand."""

import math

import pytest

from perdure.budget.estimate import Estimate
from perdure.budget.proposal import (
    Expected,
    Point,
    cap_of,
    exponents,
    gain_at,
    kl_after,
    most_kl,
    propose,
    rounded,
    steps_to,
)
from tests.budget.laws import a_law


def grown(*kls: float, error: float = 0.0, gain: float = 0.1) -> list[Point]:
    """Readings after 2, 4, 8, … steps; the gain rises by `gain` a reading, give or take 0.02."""
    return [
        Point(2 ** (index + 1), Estimate(kl, error, 9), Estimate(gain * (index + 1), 0.02, 9))
        for index, kl in enumerate(kls)
    ]


LINEAR = grown(0.1, 0.2, 0.4, 0.8)
BENT = grown(0.5, 1.0, 2.0, 8.0)  # from 4 to 8 steps as step^1, from 8 to 16 as step^2, from 4 to 16 as step^1.5


def test_steps_within_those_that_were_made() -> None:
    # 0.2 after 4 steps, 0.4 after 8: 0.3 after 6; 0.05 half-way to the first reading
    assert steps_to(LINEAR, 0.3) == Expected(6.0, 6.0, 6.0, extrapolated=False)
    assert steps_to(LINEAR, 0.05) == Expected(1.0, 1.0, 1.0, extrapolated=False)
    # 0.1 above: 0.2, 0.3, 0.5, 0.9, at 0.3 after 4; 0.1 below: 0, 0.1, 0.3, 0.7, there after 8
    found = steps_to(grown(0.1, 0.2, 0.4, 0.8, error=0.1 / 1.96), 0.3)
    assert found is not None and (found.value, found.low, found.high) == pytest.approx((6, 4, 8))
    # 0.8 was reached after 16 steps; 0.1 below it was not
    late = steps_to(grown(0.1, 0.2, 0.4, 0.8, error=0.1 / 1.96), 0.8)
    assert late is not None and late.high is None


def test_steps_beyond_them() -> None:
    assert exponents(BENT) == pytest.approx([1.5, 1, 2])
    # twice the KL after 16 · 2^(1/1.5), by the pairs 16 · 2^(1/2) to 16 · 2
    found = steps_to(BENT, 16.0)
    assert found is not None and found.extrapolated
    assert (found.value, found.low, found.high) == pytest.approx((16 * 2 ** (2 / 3), 16 * math.sqrt(2), 32))
    far = steps_to(LINEAR, 3.2)  # as step^1, and in the range as step^2: 16 · 4^(1/2)
    assert far is not None and (far.value, far.low, far.high) == pytest.approx((64, 32, 64))
    assert steps_to(LINEAR, 3.3) is None  # 66 steps, and 64 is four times 16
    assert steps_to(grown(0.4, 0.4, 0.4, 0.4), 0.5) is None  # it does not grow
    assert steps_to(grown(0.0, 0.0, 0.0, 0.0), 0.5) is None


def test_an_end_that_is_not_bounded() -> None:
    # from 4 to 8 it does not grow at all: no pair bounds the steps from above
    found = steps_to(grown(0.5, 1.0, 1.0, 4.0), 5.0)
    assert found is not None and found.high is None


def test_kl_after_steps() -> None:
    assert kl_after(LINEAR, 6) == Expected(pytest.approx(0.3), pytest.approx(0.3), pytest.approx(0.3), False)
    found = kl_after(BENT, 32)
    assert found is not None and (found.value, found.low, found.high) == pytest.approx((8 * 2**1.5, 16, 32))
    assert kl_after(BENT, 65) is None


def test_a_gain_is_never_extrapolated() -> None:
    # between +0.2 at 0.2 and +0.3 at 0.4
    found = gain_at(LINEAR, 0.3)
    assert found is not None and (found.value, found.stderr) == pytest.approx((0.25, 0.02))
    assert gain_at(LINEAR, 0.9) is None


def test_the_most_kl_for_some_forgetting() -> None:
    law = a_law(kl=(0.1, 0.5), forgetting=(0.01, 0.05))
    # linear from the base to 0.1, then to 0.5
    assert [most_kl(law, drop) for drop in (0.005, 0.03, 0.06)] == pytest.approx([0.05, 0.3, 0.5])
    assert most_kl(a_law(kl=(0.0, 1.0), forgetting=(0.04, 0.1)), 0.03) == 0


@pytest.mark.parametrize(("value", "up", "down"), [(0.0871, 0.088, 0.087), (2.0, 2, 2), (123.0, 130, 120), (0, 0, 0)])
def test_two_digits(value: float, up: float, down: float) -> None:
    assert (rounded(value, up=True), rounded(value, up=False)) == (up, down)


def test_a_cap_by_a_law() -> None:
    law = a_law()  # a tenth of the KL: 3 points at 0.3
    found = propose(LINEAR, stage_steps=40, share=1.0, law=law, most=0.03, need=0.0)
    assert (found.kl, found.reason) == (0.3, "the greatest at which the law expects at most 3 points of forgetting")
    assert found.warnings == ("it would end the first stage after about 6 of its 40 steps",)
    needed = propose(LINEAR, stage_steps=5, share=1.0, law=law, most=0.03, need=0.5)
    assert needed.warnings == ("a target needs at least 0.500 nats, where the law expects 5.0 points",)
    assert propose(LINEAR, stage_steps=5, share=1.0, law=law, most=0.5, need=0.0).reason.endswith("its range ends")
    steep = a_law(forgetting=(0.04, 0.1))
    assert propose(LINEAR, stage_steps=5, share=1.0, law=steep, most=0.03, need=0.0).kl is None


def test_a_cap_without_a_law() -> None:
    # 32 steps take 1.6 nats, 3.2 as step^2, of a cap of which the first stage has half
    found = propose(LINEAR, stage_steps=32, share=0.5, law=None, most=0.03, need=0.0)
    assert found.kl == 6.4 and "in its 32 steps, 1.600 (1.600 to 3.200) nats; it stops what" in found.reason
    assert propose(LINEAR, stage_steps=32, share=1.0, law=None, most=0.03, need=5.0).kl == 5
    far = propose(LINEAR, stage_steps=100, share=1.0, law=None, most=0.03, need=0.0)
    assert far.kl is None and far.reason.endswith("give --steps 25, or a law (budget.law)")
    idle = propose(grown(0.1, 0.2, gain=0.001), stage_steps=4, share=1.0, law=None, most=0.03, need=0.0)
    assert idle.warnings == ("the task had gained nothing beyond noise in 4 steps: try more steps (--steps)",)


def test_a_row() -> None:
    row = cap_of(LINEAR, 0.6, 0.5, a_law())
    assert (row.stage_kl, row.steps) == (0.3, Expected(6.0, 6.0, 6.0, extrapolated=False))
    assert row.forgetting is not None and row.forgetting.value == pytest.approx(0.06)
    assert cap_of(LINEAR, 0.6, 0.5, None).forgetting is None
