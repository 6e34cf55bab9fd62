"""Pareto frontiers by hand, the exponential against curves it should find, and retention at an accuracy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.law.frontier import Exponential, frontiers, on_pareto, retention_at, retention_difference
from perdure.budget.law.points import Points
from tests.budget.law.synthetic import plain_points


def trade(top: float, method: str, *, runs: int = 20, noise: float = 0.0, seed: int = 0) -> Points:
    """Retention top - 0.3 exp(20 (accuracy - 1)), four checkpoints a run, some of them worse than that."""
    rng = np.random.default_rng(seed)
    accuracy = rng.uniform(0.6, 0.99, runs * 4)
    retention = top - 0.3 * np.exp(20 * (accuracy - 1)) - np.abs(rng.normal(0, noise, runs * 4))
    names = [f"{method}-{i // 4}" for i in range(runs * 4)]
    return plain_points(list(accuracy), list(-retention), names, [method] * (runs * 4), list(accuracy))


def together(*parts: Points) -> Points:
    names = ("run", "method", "forgetting", "accuracy", "mass", "base_mass")
    arrays = {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}
    return Points(**arrays, predictors={}, seed=np.concatenate([p.seed_P for p in parts]))


def of_seed(seed: str, points: Points) -> Points:
    return replace(points, run=np.char.add(points.run, seed), seed=np.full(len(points), seed))


def test_the_pareto_points_by_hand() -> None:
    # (0.9, 0.5) beats (0.8, 0.4); (0.8, 0.6) and (0.95, 0.3) beat nothing and are beaten by nothing; twins count once
    accuracy, retention = np.array([0.8, 0.9, 0.8, 0.95, 0.9]), np.array([0.4, 0.5, 0.6, 0.3, 0.5])
    assert on_pareto(accuracy, retention).tolist() == [False, True, True, True, False]


def test_models_that_retain_two_points_less_than_a_better_one_are_dropped() -> None:
    # the frontier is (0.90, 0.60) and (0.80, 0.70). (0.79, 0.50): the best from there on retains 0.70, dropped.
    # (0.885, 0.40): the best from there on retains 0.60, dropped, however near the top its accuracy is;
    # (0.70, 0.685): the best from there on retains 0.70, which is 1.5 more, kept
    points = plain_points([0.1] * 5, [-0.60, -0.70, -0.50, -0.40, -0.685], accuracy=[0.90, 0.80, 0.79, 0.885, 0.70])
    (found,) = frontiers(points)
    assert (found.kept, found.points, found.runs) == (3, 5, 5)
    assert (found.accuracy, found.retention) == ((0.80, 0.90), (0.70, 0.60))
    assert frontiers(points, within=0.0)[0].kept == 2
    assert frontiers(points, within=0.0)[0].exponential is None
    # retention is a score where the base's is given
    assert frontiers(points, 0.2)[0].retention == pytest.approx((0.90, 0.80))


def test_an_exact_exponential_is_found() -> None:
    (found,) = frontiers(trade(0.7, "rl"), within=0.0)
    assert found.exponential is not None
    for accuracy in (0.7, 0.9, 0.95, 0.98):
        assert found.exponential.predict(accuracy) == pytest.approx(0.7 - 0.3 * np.exp(20 * (accuracy - 1)), abs=5e-4)
    assert found.exponential.rate == pytest.approx(20, rel=0.03)
    assert found.exponential.predict(0.999) is None  # not reached
    assert found.exponential.predict(0.1) == found.exponential.predict(found.exponential.start)


def test_an_exponential_by_hand() -> None:
    curve = Exponential(top=0.7, drop=0.2, rate=10, start=0.5, end=0.9)
    assert curve.predict(0.9) == pytest.approx(0.5)
    assert curve.predict(0.8) == pytest.approx(0.7 - 0.2 / np.e)


def test_retention_at_an_accuracy() -> None:
    points = together(trade(0.7, "oracle", noise=0.005), trade(0.6, "sft", noise=0.005, seed=1))
    found = {(r.method, r.accuracy): r for r in retention_at(points, [0.95, 0.999], resamples=200)}
    oracle = found["oracle", 0.95]
    # 0.7 - 0.3 / e = 0.590 on the frontier; the fit runs through models up to two points below it
    assert oracle.exponential.value == pytest.approx(0.590, abs=0.015)
    assert oracle.exponential.low < oracle.exponential.value < oracle.exponential.high
    able = points.accuracy[points.method == "oracle"] >= 0.95
    assert oracle.best.value == pytest.approx(float((-points.forgetting[points.method == "oracle"])[able].max()))
    assert oracle.best.high == oracle.best.value
    assert found["sft", 0.95].exponential.high < oracle.exponential.low
    never = found["sft", 0.999]
    assert (never.exponential.value, never.best.value, never.best.low) == (None, None, None)


def test_the_difference_of_two_methods() -> None:
    points = together(trade(0.7, "oracle", noise=0.005), trade(0.6, "sft", noise=0.005, seed=1))
    found = retention_difference(points, "oracle", "sft", 0.95, resamples=200)
    assert found.exponential.low < 0.1 < found.exponential.high
    assert found.exponential.value == pytest.approx(0.1, abs=0.02)
    assert found.exponential.low > 0
    same = retention_difference(points, "sft", "sft", 0.95, resamples=200)
    assert same.exponential.value == 0
    assert same.exponential.low < 0 < same.exponential.high
    assert retention_difference(points, "oracle", "sft", 0.999, resamples=50).best.value is None
    with pytest.raises(ValueError, match="'tilt'"):
        retention_difference(points, "oracle", "tilt", 0.95)


def test_with_several_seeds_the_best_is_the_mean_of_each_seeds_best() -> None:
    # at 90 %: rl keeps 0.70 (of 0.70 and 0.60), 0.60 and 0.50 in three seeds, so 0.60 with a deviation of 0.1 and
    # t(2) = 4.303: 0.60 ± 0.248. sft reaches it in seeds 0 and 1, with 0.55 and 0.49. tilt does in seed 0 alone
    seeds = ["0", "0", "1", "2", "0", "1", "2", "0", "1"]
    methods = ["rl"] * 4 + ["sft"] * 3 + ["tilt"] * 2
    kept = [0.70, 0.60, 0.60, 0.50, 0.55, 0.49, 0.9, 0.3, 0.4]
    accuracy = [0.90, 0.95, 0.92, 0.91, 0.90, 0.97, 0.80, 0.95, 0.5]
    plain = plain_points([0.1] * 9, [-one for one in kept], method=methods, accuracy=accuracy)
    points = replace(plain, seed=np.array(seeds))
    rl, sft, tilt = retention_at(points, [0.90])
    assert (rl.best.value, rl.best.low, rl.best.high) == pytest.approx((0.60, 0.352, 0.848), abs=1e-3)
    assert [(one.reached, one.seeds) for one in (rl, sft, tilt)] == [(3, 3), (2, 3), (1, 3)]
    assert sft.best.value == pytest.approx(0.52)
    assert (tilt.best.value, tilt.exponential.value) == (None, None)
    # within seeds 0 and 1: 0.70 - 0.55 and 0.60 - 0.49, so 0.13 with an error of 0.02 and t(1) = 12.706
    found = retention_difference(points, "rl", "sft", 0.90)
    assert (found.best.value, found.best.low) == pytest.approx((0.13, 0.13 - 12.706 * 0.02), abs=1e-3)
    assert (found.reached, found.seeds) == (2, 3)
    assert retention_difference(points, "rl", "tilt", 0.90).best.value is None
    assert [(one.method, one.seed) for one in frontiers(points)][:4] == [("rl", s) for s in "012"] + [("sft", "0")]


def test_the_difference_by_seed_takes_out_what_a_seed_does_to_both() -> None:
    parts = []
    for number, shift in enumerate((0.0, 0.1, 0.2)):
        parts += [of_seed(str(number), trade(0.6 + shift, "oracle")), of_seed(str(number), trade(0.5 + shift, "sft"))]
    points = together(*parts)
    found = retention_difference(points, "oracle", "sft", 0.95).exponential
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    alone = next(one for one in retention_at(points, [0.95]) if one.method == "oracle").exponential
    # 0.7 - 0.3 / e in the mean of seeds that differ by 0.1, with t(2) = 4.303
    assert alone.value == pytest.approx(0.59, abs=0.01)
    assert alone.high - alone.value == pytest.approx(4.303 * 0.1 / 3**0.5, abs=1e-3)


def test_what_is_not_known_is_left_out_and_thin_data_have_no_fit() -> None:
    points = plain_points([0.1] * 4, [0.1, np.nan, 0.2, 0.3], accuracy=[0.9, 0.9, np.nan, 0.8])
    (found,) = frontiers(points)
    assert (found.points, found.exponential) == (2, None)
    (one,) = frontiers(plain_points([0.1] * 6, [0.1] * 6, accuracy=[0.9] * 6))
    assert one.exponential is None
    flat = frontiers(plain_points([0.1] * 6, [0.1] * 6, accuracy=[0.9, 0.91, 0.92, 0.93, 0.94, 0.95]))[0].exponential
    assert flat is not None
    assert (flat.top, flat.drop) == pytest.approx((-0.1, 0.0))
    assert frontiers(plain_points([], [])) == ()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_every_point_is_matched_by_one_on_the_frontier(pairs: list[tuple[float, float]]) -> None:
    accuracy, retention = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    mask = on_pareto(accuracy, retention)
    for a, r in pairs:
        assert ((accuracy[mask] >= a) & (retention[mask] >= r)).any()
    for i in np.flatnonzero(mask):
        better = (accuracy >= accuracy[i]) & (retention >= retention[i])
        assert not (better & ((accuracy > accuracy[i]) | (retention > retention[i]))).any()
