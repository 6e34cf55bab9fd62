"""The table of a sweep: means over runs with intervals, and nothing where there is nothing to tell."""

import math

import pytest

from perdure.agent.sweep.summary import Mean, by_method, mean_over_runs, pooled_axes, whole_runs


def test_a_mean_with_students_interval() -> None:
    # 0.8, 0.9, 1.0: mean 0.9, s = 0.1, and t(2 degrees, 97.5 %) = 4.302653, so +- 4.302653 * 0.1 / sqrt(3) = 0.248414.
    found = mean_over_runs([0.8, 0.9, 1.0])
    assert (found.value, found.n) == (pytest.approx(0.9), 3)
    assert (found.low, found.high) == (pytest.approx(0.651586, abs=1e-6), pytest.approx(1.148414, abs=1e-6))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Mean(None, None, None, 0)),
        ([math.nan], Mean(None, None, None, 0)),
        ([0.5], Mean(0.5, None, None, 1)),
        ([0.5, math.inf], Mean(0.5, None, None, 1)),
        ([0.5, 0.5, 0.5], Mean(0.5, None, None, 3)),
    ],
)
def test_runs_that_tell_no_spread_have_no_interval(values: list[float], expected: Mean) -> None:
    assert mean_over_runs(values) == expected


def test_methods_are_lines_in_the_order_of_the_sweep() -> None:
    rows = [
        {"method": "b", "accuracy": 1.0, "forgetting": 0.1, "kl_base_to_policy": 2.0},
        {"method": "a", "accuracy": 0.5, "forgetting": None, "kl_base_to_policy": math.nan},
        {"method": "b", "accuracy": 0.5, "forgetting": 0.3, "kl_base_to_policy": 4.0},
    ]
    b, a = by_method(rows)
    assert (b.method, b.runs, b.broken, b.accuracy.value, b.kl.value) == ("b", 2, 0, 0.75, 3.0)
    assert b.forgetting.value == pytest.approx(0.2)
    assert (a.method, a.runs, a.broken, a.forgetting, a.kl.n) == ("a", 1, 1, Mean(None, None, None, 0), 0)


def test_axes_of_which_a_method_has_several_values_are_pooled() -> None:
    rows = [
        {"method": "a", "axis.arm": "a", "axis.rate": 0.1, "axis.length": 2, "seed": 0},
        {"method": "a", "axis.arm": "a", "axis.rate": 0.1, "axis.length": 2, "seed": 1},
        {"method": "b", "axis.arm": "b", "axis.rate": 0.2, "axis.length": 2, "seed": 0},
        {"method": "b", "axis.arm": "b", "axis.rate": 0.2, "axis.length": 3, "seed": 0},
    ]
    assert pooled_axes(rows) == ["length"]
    assert pooled_axes([]) == []


def test_a_run_of_several_stages_is_not_named_after_its_last() -> None:
    stages = {"1": ("rl", "sft"), "2": ("sft", "rl"), "3": ("sft", "rl"), "4": ("rl", "rl"), "5": ("race",)}
    rows = [
        {"cell": cell, "method": method, "stage": stage, "final": stage == len(used)}
        for cell, used in stages.items()
        for stage, method in enumerate(used, 1)
    ]
    found = whole_runs(rows, {"1": "rule", "2": "rule", "3": None, "4": None, "5": "rule"})
    # by their last methods 2, 3 and 4 would be three runs of one method
    assert [row["method"] for row in found] == ["rule", "rule", "sft, rl", "rl", "race"]
    assert [(one.method, one.runs) for one in by_method(found)][:2] == [("rule", 2), ("sft, rl", 1)]
