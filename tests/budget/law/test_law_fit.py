"""R² in sample and out of it, and that its interval comes from runs."""

from dataclasses import replace

import numpy as np
import pytest

from perdure.budget.errors import DataError
from perdure.budget.law.curves import CURVES
from perdure.budget.law.fit import fit_law, predict_held_out_methods, predict_held_out_runs
from perdure.budget.law.points import FORWARD_KL, Points
from perdure.budget.law.resample import Interval, folds, percentile, run_counts
from perdure.budget.law.sample import sample_of
from tests.budget.law.synthetic import kl_of, lives, plain_points


def replaced(points: Points, **changes: object) -> Points:
    names = ("run", "method", "forgetting", "accuracy", "mass", "base_mass", "predictors")
    return Points(**{**{name: getattr(points, name) for name in names}, **changes})


def test_an_exact_quadratic_explains_everything_everywhere() -> None:
    points = lives([6, 6])
    x = kl_of(points)
    fit = fit_law(replaced(points, forgetting=0.01 + 0.1 * x - 0.004 * x**2))
    for found in (fit.r2, fit.held_out_runs, fit.held_out_methods):
        assert found is not None
        assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1), abs=1e-9)
    assert (fit.points, fit.runs, fit.methods, fit.dropped) == (48, 12, 2, 0)
    assert fit.curve.powers() == pytest.approx((0.01, 0.1, -0.004))
    assert [error.rms for error in fit.by_method] == pytest.approx([0, 0], abs=1e-9)


def test_r2_by_hand() -> None:
    # y = x but for ±1 at the middle two of x = 0, 1, 2, 3: y = 0, 2, 1, 3. Sxy = 2.25 - 0.25 - 0.25 + 2.25 = 4,
    # Sxx = 5, Syy = 5: r² = 16 / 25
    fit = fit_law(plain_points([0, 1, 2, 3], [0, 2, 1, 3]), "line")
    assert fit.r2.value == pytest.approx(0.64)
    assert (fit.r2.low, fit.r2.high) == (None, None)  # four runs are too few for an interval
    # each run alone in its fold: without (0, 0) the line through (1, 2), (2, 1), (3, 3) is 1 + x/2, and says 1;
    # without (1, 2): (0, 0), (2, 1), (3, 3) has Sxy 13/3, Sxx 14/3 about 5/3 and 4/3: 13/14 x - 3/14, and says 5/7;
    # the other two mirror these. Errors 1 and 9/7, twice each: 2 (1 + 81/49) = 260/49, of a total of 5
    assert fit.held_out_runs == Interval(pytest.approx(1 - 260 / 49 / 5), None, None)
    assert fit.held_out_methods is None
    assert fit.by_method == ()


@pytest.mark.parametrize("kind", list(CURVES))
def test_noise_lowers_r2_and_held_out_r2_is_lower_still(kind: str) -> None:
    points = lives([8, 8, 8])
    fit = fit_law(points, kind, resamples=200)
    assert fit.held_out_runs is not None
    assert fit.held_out_methods is not None
    assert fit.r2.low is not None
    assert fit.r2.high is not None
    assert fit.held_out_runs.value is not None
    assert 0.7 < fit.r2.low < fit.r2.value < fit.r2.high < 1
    assert fit.held_out_runs.value < fit.r2.value


def test_pure_noise_is_told_from_a_law_on_held_out_runs() -> None:
    points = lives([10, 10])
    noise = np.random.default_rng(5).normal(size=20)[np.unique(points.run, return_inverse=True)[1]]
    fit = fit_law(replaced(points, forgetting=noise))
    assert fit.held_out_runs is not None
    assert fit.held_out_runs.value < 0.05


def test_the_interval_comes_from_runs_not_points() -> None:
    # the same points, once with every checkpoint taken for a run of its own: the interval is then too narrow
    points = lives([8, 8], checkpoints=12, run_noise=0.15, noise=0.001)
    by_run = fit_law(points, resamples=500).r2
    alone = fit_law(replaced(points, run=np.array([f"p{i}" for i in range(len(points))])), resamples=500).r2
    assert by_run.value == pytest.approx(alone.value)
    assert by_run.high - by_run.low > 1.5 * (alone.high - alone.low)


def test_a_copied_run_changes_no_held_out_prediction_of_itself() -> None:
    # held-out predictions of a run never use its own forgetting
    points = lives([10])
    sample = sample_of(points, FORWARD_KL)
    before = predict_held_out_runs(sample, "quadratic", 0)
    first = sample.run_P == 0
    other = sample_of(replaced(points, forgetting=points.forgetting + 5.0 * first), FORWARD_KL)
    assert predict_held_out_runs(other, "quadratic", 0)[first] == pytest.approx(before[first])


def test_a_held_out_method_is_predicted_by_the_others() -> None:
    points = lives([10, 10], [0.0, 0.2], run_noise=0.0, noise=0.0)
    fit = fit_law(points, "monotone")
    first, second = fit.by_method
    assert (first.method, first.points, first.runs) == ("m0", 40, 10)
    assert (first.bias, second.bias) == pytest.approx((-0.2, 0.2), abs=0.02)
    assert np.isnan(predict_held_out_methods(sample_of(lives([10]), FORWARD_KL), "line")).all()


def test_a_held_out_seed_is_predicted_by_the_others() -> None:
    # seed 1 forgets 0.2 more than seed 0, and each is predicted by the other: wrong by 0.2 everywhere. With y = x,
    # or x + 0.2, at x = 0, 1, 2, 3 of both, the total is 10 + 8 · 0.01
    points = plain_points([0, 1, 2, 3] * 2, [0, 1, 2, 3, 0.2, 1.2, 2.2, 3.2])
    fit = fit_law(replace(points, seed=np.array(["0"] * 4 + ["1"] * 4)), "line")
    assert fit.held_out_seeds is not None
    assert fit.held_out_seeds.value == pytest.approx(1 - 8 * 0.04 / (10 + 8 * 0.01))
    assert fit_law(points, "line").held_out_seeds is None


def test_the_same_seed_gives_the_same_figures() -> None:
    points = lives([6, 6])
    assert fit_law(points, seed=3, resamples=50) == fit_law(points, seed=3, resamples=50)
    assert fit_law(points, seed=3, resamples=50).r2 != fit_law(points, seed=4, resamples=50).r2


def test_what_cannot_be_told_is_none() -> None:
    flat = fit_law(plain_points([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.3] * 6))
    assert flat.r2 == Interval(None, None, None)
    two = fit_law(plain_points([0.1, 0.2, 0.3, 0.4], [0.0, 0.1, 0.1, 0.3], run=["a", "a", "b", "b"]))
    assert two.r2.value is not None
    assert two.held_out_runs is None  # one run of two checkpoints is too little for a quadratic
    with pytest.raises(DataError, match="needs at least 4 checkpoints"):
        fit_law(plain_points([0.1, 0.2, 0.3], [0.0, 0.1, 0.2]))
    with pytest.raises(DataError, match="weight_l2"):
        fit_law(plain_points([0.1, 0.2, 0.3], [0.0, 0.1, 0.2]), predictor="weight_l2")


def test_folds_hold_whole_runs_of_equal_numbers() -> None:
    assert sorted(np.bincount(folds(23, 0)).tolist()) == [2] * 7 + [3] * 3
    assert sorted(folds(4, 0).tolist()) == [0, 1, 2, 3]
    assert folds(23, 0).tolist() != folds(23, 1).tolist()


def test_resamples_draw_as_many_runs_and_tell_when_they_are_too_few() -> None:
    counts = run_counts(7, 100, 0)
    assert counts.sum(1).tolist() == [7.0] * 100
    assert counts.mean() == pytest.approx(1)
    # of 0 … 100, the quantiles 0.025 and 0.975 are 2.5 and 97.5
    assert percentile(50.0, np.arange(101.0), 9) == Interval(50.0, pytest.approx(2.5), pytest.approx(97.5))
    assert percentile(50.0, np.arange(101.0), 4) == Interval(50.0, None, None)
    mostly_unknown = np.where(np.arange(100) < 11, np.nan, 1.0)
    assert percentile(1.0, mostly_unknown, 9) == Interval(1.0, None, None)
    assert percentile(float("nan"), np.arange(9.0), 9) == Interval(None, None, None)
