"""The forecast of a law at the monitor: in the law's own unit, for numbers only, and without a say."""

import math
from collections.abc import Sequence

import pytest

from perdure.budget.config import BudgetConfig
from perdure.budget.estimate import Group
from perdure.budget.law.saved import Coverage, Law
from perdure.budget.monitor import Measurement, Monitor, Reading


def law(unit: str) -> Law:
    """Forgetting is a tenth of the KL, give or take 0.02, between KL 0.5 and 2.5."""
    return Law(
        world="vision",
        base="a-base",
        unit=unit,
        prompts="task",
        benchmarks=("fashion",),
        kl=(0.5, 2.5),
        forgetting=(0.05, 0.25),
        width_kl=(0.5, 2.5),
        below=(0.02, 0.02),
        above=(0.02, 0.02),
        level=0.95,
        coverage=Coverage(0.95, None, None, 8, 4),
        coverage_methods=None,
        methods=("sft",),
        runs=4,
        points=8,
    )


def read(kl: float, unit: str | None) -> Reading:
    """A reading of `kl` nats a sequence of two tokens."""

    def measure(names: Sequence[str]) -> Measurement:
        groups = tuple(Group((kl, kl), (2, 2)) for _ in names)
        return Measurement(groups, groups, groups, groups)

    config = BudgetConfig.model_validate({"kl": 1.0, "unit": "sequence"})
    return Monitor(config, measure, None if unit is None else law(unit)).read(3, ["a"])


def test_a_reading_carries_what_the_law_expects_in_the_unit_of_the_law() -> None:
    by_sequence, by_token = (read(2.0, unit).predicted_forgetting for unit in ("sequence", "token"))
    assert by_sequence is not None
    assert by_token is not None
    assert (by_sequence.value, by_sequence.low, by_sequence.high) == pytest.approx((0.2, 0.18, 0.22))
    assert (by_sequence.inside, by_sequence.benchmarks) == (True, ("fashion",))
    assert by_token.value == pytest.approx(0.1)  # 1 nat a token


def test_outside_the_range_it_says_so() -> None:
    found = read(4.0, "sequence").predicted_forgetting
    assert found is not None
    assert (found.value, found.inside) == (0.25, False)


@pytest.mark.parametrize("kl", [math.nan, math.inf])
def test_no_forecast_of_what_is_no_number(kl: float) -> None:
    assert read(kl, "token").predicted_forgetting is None


def test_the_law_decides_nothing() -> None:
    with_law, without = read(2.0, "token"), read(2.0, None)
    assert without.predicted_forgetting is None
    assert with_law.within == without.within
    assert with_law.left == without.left
