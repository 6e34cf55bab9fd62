"""The forecast of a law at the monitor: in the law's own unit, for numbers only, and without a say."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from perdure.budget.config import BudgetConfig
from perdure.budget.estimate import Group
from perdure.budget.law.saved import Law
from perdure.budget.monitor import GENERIC, Measurement, Monitor, Reading
from tests.budget.laws import a_law


def law(unit: str) -> Law:
    """Forgetting is a tenth of the KL, give or take 0.02, between KL 0.5 and 2.5."""
    kl = (0.5, 2.5)
    return a_law(unit=unit, kl=kl, forgetting=(0.05, 0.25), width_kl=kl, below=(0.02, 0.02), above=(0.02, 0.02))


def read(kl: float, unit: str | None, tasks: Sequence[str] = ("a",), fitted_on: str = "task", **more: str) -> Reading:
    """A reading of `kl` nats a sequence of two tokens."""

    def measure(names: Sequence[str]) -> Measurement:
        groups = tuple(Group((kl, kl), (2, 2)) for _ in names)
        return Measurement(groups, groups, groups, groups, groups, groups)

    config = BudgetConfig.model_validate({"kl": 1.0, "unit": "sequence"} | more)
    return Monitor(config, measure, None if unit is None else replace(law(unit), prompts=fitted_on)).read(3, tasks)


def test_a_reading_carries_what_the_law_expects_in_the_unit_of_the_law() -> None:
    by_sequence, by_token = (read(2.0, unit).predicted_forgetting for unit in ("sequence", "token"))
    assert by_sequence is not None
    assert by_token is not None
    assert (by_sequence.value, by_sequence.low, by_sequence.high) == pytest.approx((0.2, 0.18, 0.22))
    assert (by_sequence.inside, by_sequence.benchmarks) == (True, ("fashion",))
    assert by_token.value == pytest.approx(0.1)  # 1 nat a token


def test_a_law_has_the_kl_that_it_predicts_from() -> None:
    # a tenth of each KL: 2 on the task, 0.5 on the generic probe
    def measure(names: Sequence[str]) -> Measurement:
        kl = 0.5 if names == [GENERIC] else 2.0
        groups = (Group((kl, kl), (1, 1)),)
        return Measurement(groups, groups, groups, groups, groups, groups)

    knots = {"kl_generic": (0.5, 2.5), "forgetting_generic": (0.05, 0.25), "width_forgetting": (0.0, 0.5)}
    on_generic = replace(law("token"), predictor="generic", prompts="generic")
    of_both = replace(law("token"), predictor="both", width_kl=(), **knots)
    expected = {on_generic: 0.05, of_both: 0.25}
    for one, value in expected.items():
        read, unread = (
            Monitor(BudgetConfig(kl=1.0), measure, one, probe=probe).read(0, ["a"]) for probe in (True, False)
        )
        assert read.predicted_forgetting is not None
        assert read.predicted_forgetting.value == pytest.approx(value)
        assert not read.predicted_forgetting.other_prompts
        assert unread.predicted_forgetting is None


def test_outside_the_range_it_says_so() -> None:
    found = read(4.0, "sequence").predicted_forgetting
    assert found is not None
    assert (found.value, found.inside) == (0.25, False)


@pytest.mark.parametrize("kl", [math.nan, math.inf])
def test_no_forecast_of_what_is_no_number(kl: float) -> None:
    assert read(kl, "token").predicted_forgetting is None


@pytest.mark.parametrize(
    ("tasks", "prompts", "fitted_on", "other"),
    [
        ("a", "task", "task", False),
        ("ab", "task", "task", False),
        ("a", "seen", "task", False),  # one task so far: all that was seen is its own
        ("ab", "seen", "task", True),
        ("ab", "seen", "seen", False),
        ("a", "generic", "task", True),
        ("a", "task", "seen", True),
    ],
)
def test_it_says_where_the_law_was_fitted_on_other_prompts(
    tasks: str, prompts: str, fitted_on: str, other: bool
) -> None:
    more = {"prompts": prompts} | ({"generic": "texts.txt"} if prompts == "generic" else {})
    found = read(2.0, "token", list(tasks), fitted_on, **more).predicted_forgetting
    assert found is not None
    assert (found.other_prompts, found.level) == (other, 0.95)


def test_it_says_where_the_law_was_fitted_on_another_generic_probe() -> None:
    def measure(names: Sequence[str]) -> Measurement:
        groups = tuple(Group((2.0, 2.0), (2, 2)) for _ in names)
        return Measurement(groups, groups, groups, groups, groups, groups)

    one = replace(law("token"), predictor="generic", prompts="generic")
    monitors = [Monitor(BudgetConfig(kl=1.0), measure, one, probe=True, other_probe=other) for other in (False, True)]
    forecasts = [monitor.read(3, ["a"]).predicted_forgetting for monitor in monitors]
    assert [one is not None and one.other_prompts for one in forecasts] == [False, True]


def test_it_says_where_the_law_was_fitted_on_another_base() -> None:
    def measure(names: Sequence[str]) -> Measurement:
        groups = tuple(Group((2.0, 2.0), (2, 2)) for _ in names)
        return Measurement(groups, groups, groups, groups, groups, groups)

    config = BudgetConfig(kl=1.0)
    monitors = [Monitor(config, measure, law("token"), other_base=other) for other in (False, True)]
    forecasts = [monitor.read(3, ["a"]).predicted_forgetting for monitor in monitors]
    assert [one is not None and one.other_base for one in forecasts] == [False, True]


def test_the_law_decides_nothing() -> None:
    with_law, without = read(2.0, "token"), read(2.0, None)
    assert without.predicted_forgetting is None
    assert with_law.within == without.within
    assert with_law.left == without.left
