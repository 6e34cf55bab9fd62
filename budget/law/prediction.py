"""A law with an interval for the forgetting of a new run's checkpoint, and how often that interval held.

Cross-conformal, by run. Every checkpoint is predicted by a curve that never saw its run (K folds of runs); its residual
is divided by the size that residuals have at its KL; the interval takes the quantiles of these scores, times that size.
A run weighs 1 / (R + 1) whatever its number of checkpoints, and the new one as much again at infinity: hierarchical
conformal prediction, Lee, Barber and Willett (arXiv 2306.06342), after the pooled distributions of Dunn, Wasserman and
Ramdas 2023 (JASA 118:2491). Scores by size: Lei et al. 2018 (JASA 113:1094). Out of folds: Vovk 2015 (Ann. Math. Artif.
Intell. 74:9).

The curve that is handed out is fitted on all runs, while the residuals are of curves with a fold less. So the level is
no longer a theorem, and is measured: the whole of this is made again without each fold of runs, and the share of that
fold's checkpoints inside the interval is the coverage that is stored and printed with it.

It holds for runs like those it was made of, whose methods and learning rates are as they were there. What it does for a
method that was not among them is measured in the same way, with all runs of a method left out; and so for a seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError
from perdure.budget.law.curves import Curve, can_fit, fit_curve, kind_of
from perdure.budget.law.fit import predict_held_out_runs
from perdure.budget.law.points import FORWARD_KL, Points
from perdure.budget.law.resample import LEVEL, MIN_RUNS, RESAMPLES, folds, percentile, run_counts
from perdure.budget.law.sample import Sample, check_enough, part, take, without_method, without_seed
from perdure.budget.law.saved import Coverage, Law, from_base

Split = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""The checkpoints to make an interval of, and those to try it on. Each (P,)."""

_KIND = "monotone"
_BINS = 8
_POINTS_A_BIN = 20
_LEAST_SIZE = 0.1
"""No bin's residuals count as smaller than this share of all: a few lucky ones must not make an interval of nothing."""


@dataclass(frozen=True, eq=False)
class Band:
    """A curve and how far its interval reaches, straight between `kl_K`; in fractions of forgetting."""

    curve: Curve
    kl_K: NDArray[np.float64]
    below_K: NDArray[np.float64]
    above_K: NDArray[np.float64]
    level: float

    def contains(self, kl_P: NDArray[np.float64], forgetting_P: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each forgetting lies within the interval at its KL. Shape (P,)."""
        error_P = forgetting_P - np.interp(kl_P, *from_base(*self.curve.knots()))
        inside: NDArray[np.bool_] = (error_P >= -np.interp(kl_P, self.kl_K, self.below_K)) & (
            error_P <= np.interp(kl_P, self.kl_K, self.above_K)
        )
        return inside


def build_law(
    points: Points, benchmarks: Sequence[str] = (), *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Law:
    """Fit the curve that never falls, with an interval at `level`, and measure how often the interval holds.

    Raises:
        ValueError: the level is not between 0 and 1.
        DataError: too few checkpoints or runs, or forward KL is the same everywhere.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}")
    sample = take(points, FORWARD_KL)
    check_enough(sample, kind_of(_KIND).fewest)
    band = make_band(sample, level, seed)
    coverage = _coverage(sample, _split_by_run(sample, seed), level, resamples, seed)
    if band is None or coverage is None:
        raise DataError(
            f"a law to save needs at least {MIN_RUNS + 1} runs, with several checkpoints of different KL; got "
            f"{len(sample)} checkpoints of {sample.runs} runs: give more runs"
        )
    kl, forgetting = band.curve.knots()
    return Law(
        world=points.world,
        base=points.base,
        unit=points.unit,
        prompts=points.prompts,
        benchmarks=tuple(benchmarks),
        kl=kl,
        forgetting=forgetting,
        width_kl=tuple(band.kl_K.tolist()),
        below=tuple(band.below_K.tolist()),
        above=tuple(band.above_K.tolist()),
        level=band.level,
        coverage=coverage,
        coverage_methods=_coverage(sample, [without_method(sample, m) for m in sample.methods], level, resamples, seed),
        coverage_seeds=_coverage(sample, [without_seed(sample, s) for s in sample.seeds], level, resamples, seed),
        methods=sample.methods,
        runs=sample.runs,
        points=len(sample),
    )


def make_band(sample: Sample, level: float, seed: int) -> Band | None:
    """The curve of a sample and its interval; `None` where there is too little for either.

    The level is lowered to (R - 1) / (R + 1) where there are too few runs R for what was asked: beyond the largest of R
    scores lies one of R + 1 equally likely places on either side.
    """
    if sample.runs < MIN_RUNS or not can_fit(_KIND, sample.x_P):
        return None
    residual_P = sample.y_P - predict_held_out_runs(sample, _KIND, seed)
    if np.isnan(residual_P).any():
        return None
    level = min(level, (sample.runs - 1) / (sample.runs + 1))
    kl_K, size_K = residual_sizes(sample.x_P, residual_P)
    size_P = np.interp(sample.x_P, kl_K, size_K)
    score_P = np.divide(residual_P, size_P, out=np.zeros_like(residual_P), where=size_P > 0)
    weight_P = 1 / ((sample.runs + 1) * np.bincount(sample.run_P, minlength=sample.runs)[sample.run_P])
    tail = (1 - level) / 2
    above = max(conformal_quantile(score_P, weight_P, tail), 0.0)
    below = max(conformal_quantile(-score_P, weight_P, tail), 0.0)
    return Band(fit_curve(_KIND, sample.x_P, sample.y_P), kl_K, below * size_K, above * size_K, level)


def conformal_quantile(score_P: NDArray[np.float64], weight_P: NDArray[np.float64], tail: float) -> float:
    """The least score s with at most `tail` of the mass above it, the mass that is missing from 1 lying at infinity.

    Raises:
        ValueError: more than `tail` of the mass lies at infinity.
    """
    order = np.argsort(score_P)
    beyond_P = 1 - np.cumsum(weight_P[order])
    enough = np.flatnonzero(beyond_P <= tail + 1e-9)
    if not len(enough):
        raise ValueError(f"no score has as little as {tail} of the mass above it")
    return float(score_P[order[enough[0]]])


def residual_sizes(
    kl_P: NDArray[np.float64], residual_P: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean absolute residual by bins of KL: at each bin's mean KL (K,), that size (K,).

    Bins of equal numbers of checkpoints, at most eight and of twenty or more each; each size is the mean of its own and
    its neighbours', which steadies the ends where few checkpoints differ much in KL.
    """
    bins = int(np.clip(len(kl_P) // _POINTS_A_BIN, 1, _BINS))
    order = np.argsort(kl_P, kind="stable")
    parts = np.array_split(order, bins)
    centre_K = np.array([kl_P[some].mean() for some in parts])
    size_K = np.array([np.abs(residual_P[some]).mean() for some in parts])
    padded = np.concatenate([size_K[:1], size_K, size_K[-1:]])
    smooth_K = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    smooth_K = np.maximum(smooth_K, _LEAST_SIZE * float(np.abs(residual_P).mean()))
    kept = np.flatnonzero(np.diff(centre_K, prepend=-np.inf) > 0)
    if len(kept) < 2:
        return np.array([float(kl_P.min()), float(kl_P.max())]), np.full(2, float(smooth_K[0]))
    return centre_K[kept], smooth_K[kept]


def _split_by_run(sample: Sample, seed: int) -> list[Split]:
    """Folds of runs, other than those inside the bands."""
    fold_P = folds(sample.runs, seed + 1)[sample.run_P]
    return [(fold_P != fold, fold_P == fold) for fold in np.unique(fold_P)]


def _coverage(sample: Sample, splits: Sequence[Split], level: float, resamples: int, seed: int) -> Coverage | None:
    """How often the interval made without a part holds on that part; `None` where none could be made."""
    inside_P = np.full(len(sample), np.nan)
    for train_P, test_P in splits:
        band = make_band(part(sample, train_P), level, seed)
        if band is not None:
            inside_P[test_P] = band.contains(sample.x_P[test_P], sample.y_P[test_P])
    known_P = ~np.isnan(inside_P)
    if not known_P.any():
        return None
    known = part(sample, known_P)
    inside_R, points_R = known.by_run(inside_P[known_P]), known.by_run(np.ones(len(known)))
    counts_BR = run_counts(known.runs, resamples, seed)
    share = percentile(float(inside_P[known_P].mean()), (counts_BR @ inside_R) / (counts_BR @ points_R), known.runs)
    return Coverage(float(share.value or 0.0), share.low, share.high, len(known), known.runs)
