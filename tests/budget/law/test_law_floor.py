"""The floor by hand, by the data-processing inequality, and by method."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.law.floor import FLOOR, floors, kl_floor, kl_floor_items, method_excess
from perdure.budget.law.points import FORWARD_KL, Points
from tests.budget.law.synthetic import plain_points


def floor(base: float, policy: float) -> float:
    return float(kl_floor(np.array([base]), np.array([policy]))[0])


def test_the_figures_of_the_facts() -> None:
    # 0.8 ln(0.8/0.98) + 0.2 ln(0.2/0.02) = -0.1624 + 0.4605; 0.88 ln(0.88/0.98) + 0.12 ln 6 = -0.0947 + 0.2150
    assert floor(0.80, 0.98) == pytest.approx(0.298, abs=5e-4)
    assert floor(0.88, 0.98) == pytest.approx(0.120, abs=5e-4)


def test_the_edges() -> None:
    assert floor(0.3, 0.3) == 0
    assert floor(0.0, 0.5) == pytest.approx(math.log(2))
    assert floor(1.0, 0.5) == pytest.approx(math.log(2))
    assert floor(0.0, 0.0) == floor(1.0, 1.0) == 0
    assert floor(0.5, 1.0) == floor(0.5, 0.0) == math.inf
    assert floor(0.9, 0.5) == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2))  # mass lost has a price, too
    assert math.isnan(floor(math.nan, 0.5))
    assert floor(1.0 + 1e-7, 1.0) == 0
    with pytest.raises(ValueError, match="probability"):
        floor(0.5, 1.1)
    with pytest.raises(ValueError, match="shape"):
        kl_floor(np.zeros(2), np.zeros(3))


def test_items_by_hand() -> None:
    # two items at 0.5 → 0.5 and 0.5 → 1: infinite; masses of 0.6 → 0.9 twice: as one
    assert kl_floor_items(np.array([0.6, 0.6]), np.array([0.9, 0.9])) == pytest.approx(floor(0.6, 0.9))
    with pytest.raises(ValueError, match="at least one"):
        kl_floor_items(np.array([]), np.array([]))


masses = st.floats(0.001, 0.999)


@given(st.lists(st.tuples(masses, masses), min_size=1, max_size=20))
def test_the_floor_of_means_is_at_most_that_of_items(pairs: list[tuple[float, float]]) -> None:
    base, policy = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    items = kl_floor_items(base, policy)
    assert items >= 0
    assert floor(float(base.mean()), float(policy.mean())) <= items + 1e-12


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 11))
def test_no_policy_is_nearer_than_the_floor(seed: int, answers: int, right: int) -> None:
    rng = np.random.default_rng(seed)
    base, policy = rng.dirichlet(np.full(answers, 0.5), 2) + 1e-9
    base, policy = base / base.sum(), policy / policy.sum()
    right = min(right, answers - 1)
    kl = float((base * np.log(base / policy)).sum())
    a, b = float(base[:right].sum()), float(policy[:right].sum())
    assert kl >= floor(a, b) - 1e-9
    # the two blocks of the base, weighed anew, attain it
    nearest = np.concatenate([base[:right] / a * b, base[right:] / (1 - a) * (1 - b)])
    assert float((base * np.log(base / nearest)).sum()) == pytest.approx(floor(a, b), abs=1e-9)


def test_excess_by_method_by_hand() -> None:
    # a floor of 0.298 everywhere. Run a: 0.4 and 0.6, so 0.5; run b: 0.7. Excess 0.202 and 0.402, mean 0.302;
    # their deviation is 0.1 sqrt 2, so the error 0.1, and t(1) = 12.706
    points = plain_points(
        [0.4, 0.6, 0.7, 0.9, math.nan], [0.0] * 5, ["a", "a", "b", "c", "d"], ["rl", "rl", "rl", "sft", "tilt"]
    )
    rl, sft, tilt = method_excess(points)
    assert (rl.method, rl.points, rl.runs) == ("rl", 3, 2)
    assert rl.excess.value == pytest.approx(0.6 - 0.2982, abs=1e-4)
    assert rl.excess.high - rl.excess.value == pytest.approx(12.706 * 0.1, abs=1e-3)
    assert rl.kl.value == pytest.approx(0.6)
    assert rl.floor.value == pytest.approx(0.2982, abs=1e-4)
    assert (sft.excess.value, sft.excess.low) == (pytest.approx(0.9 - 0.2982, abs=1e-4), None)
    assert (tilt.excess.value, tilt.points, tilt.runs) == (None, 0, 0)


def test_excess_with_several_seeds_is_over_seeds() -> None:
    # a floor of 0.298 everywhere. Seed 0: run a 0.4 and 0.6, run b 0.7: 0.6; seed 1: 0.8. Mean 0.7, error 0.1
    points = plain_points([0.4, 0.6, 0.7, 0.8], [0.0] * 4, ["a", "a", "b", "c"], ["rl"] * 4)
    (rl,) = method_excess(replace(points, seed=np.array(["0", "0", "0", "1"])))
    assert (rl.points, rl.runs, rl.seeds) == (4, 3, 2)
    assert rl.kl.value == pytest.approx(0.7)
    assert rl.kl.high - rl.kl.value == pytest.approx(12.706 * 0.1, abs=1e-3)


def test_excess_within_a_band_of_accuracy_and_over_the_floor_of_items() -> None:
    points = plain_points([0.4, 0.6], [0.0, 0.0], ["a", "b"], ["rl", "rl"], [0.90, 0.96])
    assert method_excess(points, (0.95, 0.97))[0].kl.value == pytest.approx(0.6)
    assert method_excess(points, (0.99, 1.0))[0].kl.value is None
    items = Points(
        points.run,
        points.method,
        points.forgetting,
        points.accuracy,
        points.mass,
        points.base_mass,
        {FORWARD_KL: points.predictors[FORWARD_KL], FLOOR: np.array([0.35, math.nan])},
    )
    assert floors(items) == pytest.approx([0.35, 0.2982], abs=1e-4)
    unknown = Points(
        points.run,
        points.method,
        points.forgetting,
        points.accuracy,
        np.full(2, math.nan),
        points.base_mass,
        points.predictors,
    )
    assert method_excess(unknown)[0].excess.value is None
