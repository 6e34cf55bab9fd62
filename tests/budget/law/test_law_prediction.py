"""The interval for a new run: quantiles by hand, coverage on runs it never saw, and what is too little for it."""

from dataclasses import replace

import numpy as np
import pytest

from perdure.budget.errors import DataError
from perdure.budget.law.points import FORWARD_KL
from perdure.budget.law.prediction import build_law, conformal_quantile, make_band, residual_sizes
from perdure.budget.law.sample import sample_of
from perdure.budget.law.saved import Law
from tests.budget.law.synthetic import kl_of, lives, plain_points


def covered(law: Law, seed: int) -> float:
    new = lives([500], seed=seed)
    found = [law.predict(kl) for kl in kl_of(new)]
    return float(np.mean([p.low <= y <= p.high for p, y in zip(found, new.forgetting, strict=True)]))


def test_a_conformal_quantile_by_hand() -> None:
    # nine scores of nine runs, and one place in ten at infinity: above 8 lie 0.1 + 0.1, above 7 three tenths
    scores, weights = np.arange(9.0)[::-1].copy(), np.full(9, 0.1)
    assert conformal_quantile(scores, weights, 0.1) == 8
    assert conformal_quantile(scores, weights, 0.2) == 7
    assert conformal_quantile(scores, weights, 0.25) == 7
    with pytest.raises(ValueError, match=r"more than 0\.05 of the mass"):
        conformal_quantile(scores, weights, 0.05)


def test_a_run_weighs_the_same_whatever_its_number_of_checkpoints() -> None:
    # run a has nine checkpoints at 1, run b one at 5: each run has a third of the mass and a third lies at infinity
    scores = np.array([1.0] * 9 + [5.0])
    weights = np.array([1 / 27] * 9 + [1 / 3])
    assert conformal_quantile(scores, weights, 0.34) == 5
    assert conformal_quantile(scores, weights, 0.67) == 1


def test_sizes_of_residuals_by_hand() -> None:
    # 40 points make two bins of 20, at mean KL 9.5 and 29.5, of sizes 1 and 3; each takes a quarter from the other,
    # and the ends lean on themselves: (1 + 2 + 3) / 4 and (1 + 6 + 3) / 4
    kl = np.arange(40.0)
    residual = np.where(kl < 20, 1.0, -3.0)
    at, size = residual_sizes(kl, residual)
    assert at == pytest.approx([9.5, 29.5])
    assert size == pytest.approx([1.5, 2.5])
    at, size = residual_sizes(kl[:10], residual[:10])
    assert (at.tolist(), size.tolist()) == ([0, 9], [1, 1])


def test_the_interval_holds_on_runs_it_never_saw_about_as_often_as_it_says() -> None:
    laws = [build_law(lives([40, 40], seed=seed), resamples=100) for seed in range(4)]
    true = [covered(law, 100 + seed) for seed, law in enumerate(laws)]
    assert np.mean(true) == pytest.approx(0.955, abs=0.025)
    assert np.mean([law.coverage.covered for law in laws]) == pytest.approx(np.mean(true), abs=0.02)
    law = laws[0]
    assert (law.level, law.coverage.points, law.coverage.runs) == (0.95, 320, 80)
    assert law.coverage.low < law.coverage.covered < law.coverage.high
    assert law.coverage_methods is not None
    assert law.coverage_methods.runs == 80


def test_coverage_is_measured_on_held_out_seeds() -> None:
    points = lives([20])
    assert build_law(points, resamples=50).coverage_seeds is None
    seeds = np.array([str(int(run.split("-")[1]) % 2) for run in points.run])
    found = build_law(replace(points, seed=seeds), resamples=50).coverage_seeds
    assert found is not None
    # every checkpoint was held out once, with an interval made of the ten runs of the other seed
    assert (found.points, found.runs) == (80, 20)
    assert 0.5 < found.covered <= 1


def test_below_its_points_a_band_is_straight_from_the_base_too() -> None:
    # the same curve that the saved law has: held against what it says, at KL below the lowest
    sample = sample_of(lives([12]), FORWARD_KL)
    band, law = make_band(sample, 0.8, 0), build_law(lives([12]), level=0.8)
    assert band is not None
    low = np.array([law.kl_min / 2])
    found = law.predict(float(low[0]))
    for error, inside in ((found.low - 1e-9, False), (found.low + 1e-9, True), (found.high + 1e-9, False)):
        assert band.contains(low, np.array([error])).tolist() == [inside]


def test_the_interval_follows_the_noise() -> None:
    law = build_law(lives([60, 60], noise=0.002), ["fashion"])
    low, high = law.predict(0.05), law.predict(3.0)
    assert high.high - high.low > 2 * (low.high - low.low)
    assert high.low < high.value < high.high
    assert high.value == pytest.approx(0.6 * (1 - np.exp(-1.5)), abs=0.02)
    assert (law.benchmarks, law.world, law.base, law.runs, law.points) == (("fashion",), "vision", "a-base", 120, 480)
    assert (law.kl_min, law.kl_max) == (law.kl[0], law.kl[-1])
    assert np.all(np.diff(law.forgetting) >= -1e-12)


def test_few_runs_promise_less_and_too_few_nothing() -> None:
    law = build_law(lives([9]))
    assert law.level == pytest.approx(8 / 10)
    assert law.coverage_methods is None
    assert covered(law, 7) > 0.75
    with pytest.raises(DataError, match=r"at least 6 runs, .* got 20 checkpoints of 5 runs"):
        build_law(lives([5]))
    with pytest.raises(DataError, match=r"at least 6 runs, .* got 4 checkpoints of 4 runs"):
        build_law(plain_points([0.1, 0.2, 0.3, 0.4], [0.0, 0.1, 0.1, 0.2]))
    # without the last run one KL is left, on which no curve can be fitted
    lone = plain_points([0.1] * 6 + [0.2, 0.3, 0.4], [0.0] * 9, [*"abcdef", *"ggg"])
    with pytest.raises(DataError, match=r"checkpoints of different KL; got 9 checkpoints of 7 runs"):
        build_law(lone)
    with pytest.raises(DataError, match="at all 4 checkpoints"):
        build_law(plain_points([0.1] * 4, [0.0] * 4))
    with pytest.raises(ValueError, match="level"):
        build_law(lives([9]), level=1.0)


def test_a_perfect_law_has_an_interval_of_nothing() -> None:
    points = plain_points(list(np.linspace(0, 1, 30)), [0.2] * 30)
    found = build_law(points).predict(0.5)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2))
