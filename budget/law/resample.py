"""Resampling with the run as the unit: the checkpoints of one run share its data, its seed and its path.

Where runs have several seeds, a figure that is made one a seed has Student's interval over those instead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.significance import student

LEVEL = 0.95
RESAMPLES = 2000
FOLDS = 10
MIN_RUNS = 5
"""With fewer runs there is no interval: the resamples of four runs are 35 and tell little."""

_MOST_UNKNOWN = 0.1


@dataclass(frozen=True)
class Interval:
    """A figure and its interval; `None` where it cannot be told ("n/a")."""

    value: float | None
    low: float | None
    high: float | None


NOT_KNOWN = Interval(None, None, None)


def run_counts(runs: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each run is drawn, in each resample of as many runs with replacement. Shape (B, R), seeded."""
    generator = np.random.default_rng(seed)
    counts: NDArray[np.float64] = generator.multinomial(runs, np.full(runs, 1 / runs), size=resamples).astype(float)
    return counts


def percentile(value: float, samples_B: NDArray[np.float64], runs: int, level: float = LEVEL) -> Interval:
    """The percentile interval of a cluster bootstrap (Efron 1979; runs as clusters: Davison and Hinkley 1997, 3.8).

    `None` for a figure that is not finite, and no interval below five runs or where more than a tenth of the resamples
    had no figure.
    """
    if not np.isfinite(value):
        return NOT_KNOWN
    known = samples_B[np.isfinite(samples_B)]
    if runs < MIN_RUNS or len(known) < (1 - _MOST_UNKNOWN) * len(samples_B):
        return Interval(float(value), None, None)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def over_groups(values_G: NDArray[np.float64], level: float = LEVEL, fewest: int = 1) -> Interval:
    """The mean of the values that are known, one a run or a seed, and Student's interval over them.

    `None` for fewer than `fewest` of them, and no interval of a single one.
    """
    known = values_G[np.isfinite(values_G)]
    if len(known) < max(fewest, 1):
        return NOT_KNOWN
    value = float(known.mean())
    if len(known) < 2:
        return Interval(value, None, None)
    return Interval(value, *student(value, float(known.std(ddof=1)) / len(known) ** 0.5, len(known) - 1, level))


def folds(runs: int, seed: int, most: int = FOLDS) -> NDArray[np.intp]:
    """The fold of each run, at most `most` of as equal a number of runs as can be; seeded. Shape (R,)."""
    fold_R = np.empty(runs, dtype=np.intp)
    fold_R[np.random.default_rng(seed).permutation(runs)] = np.arange(runs) % min(most, runs)
    return fold_R
