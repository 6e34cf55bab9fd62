"""Resampling with the run as the unit, as the checkpoints of one run share its data, seed and path.

With several seeds, a figure that exists once per seed has Student's interval over those instead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.significance import student

LEVEL = 0.95
RESAMPLES = 2000
FOLDS = 10
MIN_RUNS = 5
"""The fewest runs with an interval: four have only 35 resamples."""

_MAX_UNKNOWN = 0.1


@dataclass(frozen=True)
class Interval:
    """A figure and its interval; `None`: unknown."""

    value: float | None
    low: float | None
    high: float | None


UNKNOWN = Interval(None, None, None)


def run_counts(runs: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """The number of times that each run is drawn, in resamples of as many runs with replacement. (B, R), seeded."""
    generator = np.random.default_rng(seed)
    counts: NDArray[np.float64] = generator.multinomial(runs, np.full(runs, 1 / runs), size=resamples).astype(float)
    return counts


def percentile(value: float, samples_B: NDArray[np.float64], runs: int, level: float = LEVEL) -> Interval:
    """The percentile interval of a cluster bootstrap (Efron 1979; runs as clusters: Davison and Hinkley 1997, 3.8).

    `None` for a figure that is not finite; no interval below five runs, or if more than a tenth of the resamples have
    no figure.
    """
    if not np.isfinite(value):
        return UNKNOWN
    known = samples_B[np.isfinite(samples_B)]
    if runs < MIN_RUNS or len(known) < (1 - _MAX_UNKNOWN) * len(samples_B):
        return Interval(float(value), None, None)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def over_groups(values_G: NDArray[np.float64], level: float = LEVEL, fewest: int = 1) -> Interval:
    """The mean of the known values, one per run or seed, with Student's interval; `None` for fewer than `fewest`."""
    known = values_G[np.isfinite(values_G)]
    if len(known) < max(fewest, 1):
        return UNKNOWN
    value = float(known.mean())
    if len(known) < 2:
        return Interval(value, None, None)
    return Interval(value, *student(value, float(known.std(ddof=1)) / len(known) ** 0.5, len(known) - 1, level))


def folds(runs: int, seed: int, most: int = FOLDS) -> NDArray[np.intp]:
    """The fold of each run: at most `most` folds, nearly equal in size; seeded. Shape (R,)."""
    fold_R = np.empty(runs, dtype=np.intp)
    fold_R[np.random.default_rng(seed).permutation(runs)] = np.arange(runs) % min(most, runs)
    return fold_R
