"""A law with an interval for the forgetting of a new run's checkpoint, and the measured coverage of that interval.

Cross-conformal, by run. Every checkpoint is predicted by a curve fitted without its run (K folds of runs). Its score is
the residual divided by the usual size of residuals at its KL; the interval is the quantiles of the scores times that
size. Each of R runs weighs 1 / (R + 1) whatever its number of checkpoints, and so does the new one, at infinity:
hierarchical conformal prediction, Lee, Barber and Willett (arXiv 2306.06342), after the pooled distributions of Dunn,
Wasserman and Ramdas 2023 (JASA 118:2491). Scores by size: Lei et al. 2018 (JASA 113:1094). Out of folds: Vovk 2015
(Ann. Math. Artif. Intell. 74:9).

The curve of the law is fitted on all runs, while the residuals are of curves with a fold less. So the level is not
guaranteed but measured: law and interval are made again without each fold of runs, and the share of that fold's
checkpoints inside the interval is the stored coverage.

The law holds for runs with the same methods and learning rates. Its coverage for another method, or another seed, is
measured in the same way, with all runs of a method, or of a seed, held out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError
from perdure.budget.law.curves import Curve, can_fit, curve_kind, fit_curve
from perdure.budget.law.fit import predict_held_out_runs
from perdure.budget.law.points import LAW_PREDICTORS, Points
from perdure.budget.law.resample import LEVEL, MIN_RUNS, RESAMPLES, folds, percentile, run_counts
from perdure.budget.law.sample import Sample, check_enough, sample_of_all, subset, without_method, without_seed
from perdure.budget.law.saved import Coverage, Law, Predictor, from_base

Split = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Masks of the checkpoints to make an interval of, and of those to test it on. Each (P,)."""

_KIND = "monotone"
_BINS = 8
_POINTS_A_BIN = 20
_MIN_SIZE = 0.1
"""The least size of a bin's residuals, as a share of the mean: a few small ones must not give a width of 0."""


@dataclass(frozen=True, eq=False)
class Band:
    """A curve and the reach of its interval below and above, linear between `at_K`; in fractions of forgetting.

    `at_K` are KLs; of a curve of two predictors, values of the predicted forgetting.
    """

    curve: Curve
    at_K: NDArray[np.float64]
    below_K: NDArray[np.float64]
    above_K: NDArray[np.float64]
    level: float

    def contains(self, kl_P: NDArray[np.float64], forgetting_P: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Mask of the forgettings within the interval at their KL. Shape (P,)."""
        value_P = _values(self.curve, kl_P)
        at_P, error_P = _places(kl_P, value_P), forgetting_P - value_P
        inside: NDArray[np.bool_] = (error_P >= -np.interp(at_P, self.at_K, self.below_K)) & (
            error_P <= np.interp(at_P, self.at_K, self.above_K)
        )
        return inside


def _values(curve: Curve, kl_P: NDArray[np.float64]) -> NDArray[np.float64]:
    """The forgetting that a saved law would predict: below the lowest KL on the straight line to the base."""
    columns = kl_P.reshape(len(kl_P), -1).T
    parts = [np.interp(x_P, *from_base(*one.knots())) for x_P, one in zip(columns, curve.parts(), strict=True)]
    value_P: NDArray[np.float64] = np.sum(parts, axis=0)
    return value_P


def _places(kl_P: NDArray[np.float64], value_P: NDArray[np.float64]) -> NDArray[np.float64]:
    """By what the reach of an interval differs: the KL, with two predictors the predicted forgetting."""
    return kl_P if kl_P.ndim == 1 else value_P


def build_law(
    points: Points,
    benchmarks: Sequence[str] = (),
    *,
    predictor: Predictor = "task",
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Law:
    """Fit the monotone curve with an interval at `level`, and measure the coverage of the interval.

    Raises:
        ValueError: the level is not between 0 and 1.
        DataError: too few checkpoints or runs, or the predictor is constant or not measured.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}")
    sample = sample_of_all(points, LAW_PREDICTORS[predictor])
    check_enough(sample, curve_kind(_KIND).fewest)
    band = make_band(sample, level, seed)
    coverage = _coverage(sample, _split_by_run(sample, seed), level, resamples, seed)
    if band is None or coverage is None:
        raise DataError(
            f"a law to save needs at least {MIN_RUNS + 1} runs, with several checkpoints of different KL; got "
            f"{len(sample)} checkpoints of {sample.runs} runs: give more runs"
        )
    return Law(
        world=points.world,
        base=points.base,
        unit=points.unit,
        prompts="generic" if predictor == "generic" else points.prompts,
        benchmarks=tuple(benchmarks),
        **_knots(band),
        level=band.level,
        coverage=coverage,
        coverage_methods=_coverage(sample, [without_method(sample, m) for m in sample.methods], level, resamples, seed),
        coverage_seeds=_coverage(sample, [without_seed(sample, s) for s in sample.seeds], level, resamples, seed),
        methods=sample.methods,
        runs=sample.runs,
        points=len(sample),
        predictor=predictor,
    )


def _knots(band: Band) -> dict[str, Any]:
    """The points of a law: of its curve, of that on the generic probe in a law of both KLs, and of its reach."""
    (kl, forgetting), *more = [part.knots() for part in band.curve.parts()]
    kl_generic, forgetting_generic = more[0] if more else ((), ())
    at = tuple(band.at_K.tolist())
    return {
        "kl": kl,
        "forgetting": forgetting,
        "width_kl": () if more else at,
        "below": tuple(band.below_K.tolist()),
        "above": tuple(band.above_K.tolist()),
        "kl_generic": kl_generic,
        "forgetting_generic": forgetting_generic,
        "width_forgetting": at if more else (),
    }


def make_band(sample: Sample, level: float, seed: int) -> Band | None:
    """The curve of a sample and its interval; `None` if the sample is too small.

    The level is at most (R - 1) / (R + 1) for R runs: a new score falls beyond the largest, or the smallest, of R with
    probability 1 / (R + 1) each.
    """
    if sample.runs < MIN_RUNS or not can_fit(_KIND, sample.x_P):
        return None
    residual_P = sample.y_P - predict_held_out_runs(sample, _KIND, seed)
    if np.isnan(residual_P).any():
        return None
    level = min(level, (sample.runs - 1) / (sample.runs + 1))
    curve = fit_curve(_KIND, sample.x_P, sample.y_P)
    at_P = _places(sample.x_P, _values(curve, sample.x_P))
    at_K, size_K = residual_sizes(at_P, residual_P)
    size_P = np.interp(at_P, at_K, size_K)
    score_P = np.divide(residual_P, size_P, out=np.zeros_like(residual_P), where=size_P > 0)
    weight_P = 1 / ((sample.runs + 1) * np.bincount(sample.run_P, minlength=sample.runs)[sample.run_P])
    tail = (1 - level) / 2
    above = max(conformal_quantile(score_P, weight_P, tail), 0.0)
    below = max(conformal_quantile(-score_P, weight_P, tail), 0.0)
    return Band(curve, at_K, below * size_K, above * size_K, level)


def conformal_quantile(score_P: NDArray[np.float64], weight_P: NDArray[np.float64], tail: float) -> float:
    """The least score with at most `tail` of the mass above it; the mass missing from 1 lies at infinity.

    Raises:
        ValueError: more than `tail` of the mass lies at infinity.
    """
    order = np.argsort(score_P)
    beyond_P = 1 - np.cumsum(weight_P[order])
    enough = np.flatnonzero(beyond_P <= tail + 1e-9)
    if not len(enough):
        raise ValueError(f"more than {tail} of the mass lies above every score")
    return float(score_P[order[enough[0]]])


def residual_sizes(
    kl_P: NDArray[np.float64], residual_P: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each bin's mean KL (K,), or predicted forgetting in its place, and mean absolute residual (K,).

    At most eight bins of equal numbers of checkpoints, at least twenty each; sizes are smoothed over neighbouring bins,
    as few checkpoints differ much in KL at the ends.
    """
    bins = int(np.clip(len(kl_P) // _POINTS_A_BIN, 1, _BINS))
    order = np.argsort(kl_P, kind="stable")
    parts = np.array_split(order, bins)
    centre_K = np.array([kl_P[some].mean() for some in parts])
    size_K = np.array([np.abs(residual_P[some]).mean() for some in parts])
    padded = np.concatenate([size_K[:1], size_K, size_K[-1:]])
    smooth_K = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    smooth_K = np.maximum(smooth_K, _MIN_SIZE * float(np.abs(residual_P).mean()))
    kept = np.flatnonzero(np.diff(centre_K, prepend=-np.inf) > 0)
    if len(kept) < 2:
        low, high = float(kl_P.min()), float(kl_P.max())
        return np.array([low, high if high > low else low + 1]), np.full(2, float(smooth_K[0]))
    return centre_K[kept], smooth_K[kept]


def _split_by_run(sample: Sample, seed: int) -> list[Split]:
    """Folds of runs that differ from those inside `make_band`."""
    fold_P = folds(sample.runs, seed + 1)[sample.run_P]
    return [(fold_P != fold, fold_P == fold) for fold in np.unique(fold_P)]


def _coverage(sample: Sample, splits: Sequence[Split], level: float, resamples: int, seed: int) -> Coverage | None:
    """The coverage of intervals on the parts that they were made without; `None` if none could be made."""
    inside_P = np.full(len(sample), np.nan)
    for train_P, test_P in splits:
        band = make_band(subset(sample, train_P), level, seed)
        if band is not None:
            inside_P[test_P] = band.contains(sample.x_P[test_P], sample.y_P[test_P])
    known_P = ~np.isnan(inside_P)
    if not known_P.any():
        return None
    known = subset(sample, known_P)
    inside_R, points_R = known.by_run(inside_P[known_P]), known.by_run(np.ones(len(known)))
    counts_BR = run_counts(known.runs, resamples, seed)
    share = percentile(float(inside_P[known_P].mean()), (counts_BR @ inside_R) / (counts_BR @ points_R), known.runs)
    return Coverage(float(share.value or 0.0), share.low, share.high, len(known), known.runs)
