"""R² of a curve of forgetting in sample and on held-out runs, seeds and methods, with intervals.

In sample the curve is fitted again on every resample of the runs. Out of sample the predictions are fixed and only the
runs they are compared with are resampled: that interval covers the choice of held-out runs, not of those fitted on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.curves import Curve, can_fit, curve_kind, curve_of, fit_curve, run_moments
from perdure.budget.law.moments import solve
from perdure.budget.law.points import FORWARD_KL, Points
from perdure.budget.law.resample import LEVEL, RESAMPLES, Interval, folds, percentile, run_counts
from perdure.budget.law.sample import Sample, check_enough, sample_of, without_method, without_seed


@dataclass(frozen=True)
class HeldOutMethodError:
    """Error of the curve of all other methods for one: mean (measured - predicted) and root mean square."""

    method: str
    bias: float
    rms: float
    points: int
    runs: int


@dataclass(frozen=True)
class Fit:
    """A curve and its R² on `points` checkpoints of `runs` runs; `dropped` more had no finite value.

    R² out of sample is `1 - Σ(y - ŷ)² / Σ(y - mean y)²`, with ŷ from a curve fitted without the run (or any run of the
    seed, or of the method). It may be negative, and is `None` if no curve could be fitted without the held-out part, or
    there is only one method or seed.
    """

    predictor: str
    curve: Curve
    r2: Interval
    held_out_runs: Interval | None
    held_out_seeds: Interval | None
    held_out_methods: Interval | None
    by_method: tuple[HeldOutMethodError, ...]
    points: int
    runs: int
    methods: int
    dropped: int


def fit_law(
    points: Points,
    kind: str = "quadratic",
    *,
    predictor: str = FORWARD_KL,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Fit:
    """Fit one kind of curve to forgetting against one predictor.

    Raises:
        DataError: too few checkpoints or runs, or a predictor that is the same everywhere.
    """
    sample = sample_of(points, predictor)
    check_enough(sample, curve_kind(kind).fewest)
    return fit_sample(sample, kind, level=level, resamples=resamples, seed=seed)[0]


def fit_sample(
    sample: Sample, kind: str, *, level: float, resamples: int, seed: int
) -> tuple[Fit, NDArray[np.float64]]:
    """Fit a sample that is known to be enough; also returns the in-sample R² of each resample of its runs (B,)."""
    counts_BR = run_counts(sample.runs, resamples, seed)
    curve, value, samples_B = r2_of(sample, kind, counts_BR)
    runs_P = predict_held_out_runs(sample, kind, seed)
    methods_P = predict_held_out_methods(sample, kind)
    fit = Fit(
        predictor=sample.predictor,
        curve=curve,
        r2=percentile(value, samples_B, sample.runs, level),
        held_out_runs=_held_out_r2(sample, runs_P, counts_BR, level),
        held_out_seeds=_held_out_r2(sample, predict_held_out_seeds(sample, kind), counts_BR, level),
        held_out_methods=_held_out_r2(sample, methods_P, counts_BR, level),
        by_method=_method_errors(sample, methods_P),
        points=len(sample),
        runs=sample.runs,
        methods=len(sample.methods),
        dropped=sample.dropped,
    )
    return fit, samples_B


def r2_of(sample: Sample, kind: str, counts_BR: NDArray[np.float64]) -> tuple[Curve, float, NDArray[np.float64]]:
    """The curve, its R², and the R² of the curve fitted again on each resample, with the knots of all points."""
    basis = curve_kind(kind).basis(sample.x_P)
    moments = run_moments(basis, sample.x_P, sample.y_P, sample.run_P, sample.runs)
    whole = solve(moments.total(), non_negative=basis.one_way)
    drawn = solve(moments.resampled(counts_BR), non_negative=basis.one_way)
    curve = curve_of(kind, basis, whole, offset=float(sample.y_P.mean()))
    return curve, float(whole.r2_B()[0]), drawn.r2_B()


def predict_held_out_runs(sample: Sample, kind: str, seed: int) -> NDArray[np.float64]:
    """Predictions by curves fitted without a checkpoint's run (at most 10 folds of runs); NaN: no curve."""
    fold_P = folds(sample.runs, seed)[sample.run_P]
    predicted_P = np.full(len(sample), np.nan)
    for fold in np.unique(fold_P):
        _predict(sample, kind, fold_P != fold, fold_P == fold, predicted_P)
    return predicted_P


def predict_held_out_seeds(sample: Sample, kind: str) -> NDArray[np.float64]:
    """Predictions by curves fitted without any run of a checkpoint's seed; NaN: no curve."""
    predicted_P = np.full(len(sample), np.nan)
    for seed in sample.seeds:
        _predict(sample, kind, *without_seed(sample, seed), predicted_P)
    return predicted_P


def predict_held_out_methods(sample: Sample, kind: str) -> NDArray[np.float64]:
    """Predictions by curves fitted without any run that used a checkpoint's method; NaN: no curve."""
    predicted_P = np.full(len(sample), np.nan)
    for method in sample.methods:
        _predict(sample, kind, *without_method(sample, method), predicted_P)
    return predicted_P


def _predict(
    sample: Sample,
    kind: str,
    train_P: NDArray[np.bool_],
    test_P: NDArray[np.bool_],
    predicted_P: NDArray[np.float64],
) -> None:
    if can_fit(kind, sample.x_P[train_P]):
        curve = fit_curve(kind, sample.x_P[train_P], sample.y_P[train_P])
        predicted_P[test_P] = curve.predict(sample.x_P[test_P])


def _held_out_r2(
    sample: Sample, predicted_P: NDArray[np.float64], counts_BR: NDArray[np.float64], level: float
) -> Interval | None:
    if np.isnan(predicted_P).any():
        return None
    ones_BR = np.ones((1, sample.runs))
    value = _r2_of_predictions(sample, predicted_P, ones_BR)[0]
    return percentile(value, _r2_of_predictions(sample, predicted_P, counts_BR), sample.runs, level)


def _r2_of_predictions(
    sample: Sample, predicted_P: NDArray[np.float64], counts_BR: NDArray[np.float64]
) -> NDArray[np.float64]:
    y_P = sample.y_P - sample.y_P.mean()
    sums = [
        counts_BR @ sample.by_run(values_P)
        for values_P in (np.ones(len(sample)), y_P, y_P**2, (sample.y_P - predicted_P) ** 2)
    ]
    n_B, y_B, yy_B, residual_B = sums
    total_B = yy_B - y_B**2 / n_B
    known_B = total_B > 1e-20 + 1e-10 * yy_B
    return np.where(known_B, 1 - residual_B / np.where(known_B, total_B, 1.0), np.nan)


def _method_errors(sample: Sample, predicted_P: NDArray[np.float64]) -> tuple[HeldOutMethodError, ...]:
    errors = []
    for method in sample.methods:
        of_method_P = sample.method_P == method
        error_P = (sample.y_P - predicted_P)[of_method_P]
        if not np.isnan(error_P).any():
            runs = len(np.unique(sample.run_P[of_method_P]))
            rms = float(np.sqrt((error_P**2).mean()))
            errors.append(HeldOutMethodError(method, float(error_P.mean()), rms, len(error_P), runs))
    return tuple(errors)
