"""Significance of one or several mean differences. Imports scipy only for a quantile of t."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_EXACT_PERMUTATIONS = 16


def sign_flip(differences: Sequence[float] | NDArray[np.float64], *, seed: int = 0, resamples: int = 10_000) -> float:
    """Two-sided p-value of a sign-flip permutation test of a mean difference of zero.

    All sign patterns are counted if at most 16 differences are not zero; else `resamples` seeded ones, with
    p = (1 + hits) / (1 + resamples) (Phipson and Smyth 2010).
    """
    d = np.asarray(differences, dtype=float)
    d = d[d != 0]
    if len(d) == 0:
        return 1.0
    seen = abs(d.sum()) - 1e-9 * np.abs(d).sum()
    if len(d) <= _EXACT_PERMUTATIONS:
        bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
        return float((np.abs((2 * bits - 1) @ d) >= seen).mean())
    generator = np.random.default_rng(seed)
    hits = 0
    for _ in range(0, resamples, 1000):
        signs = generator.integers(0, 2, size=(1000, len(d))) * 2 - 1
        hits += int((np.abs(signs @ d) >= seen).sum())
    return (1 + hits) / (1 + math.ceil(resamples / 1000) * 1000)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment for several comparisons (Holm 1979); a `None` stays and does not count."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = largest
    return adjusted


def student(value: float, stderr: float, degrees: float, level: float) -> tuple[float, float]:
    """Student's interval of an estimate whose standard error has so many degrees of freedom."""
    from scipy.special import stdtrit

    half = float(stdtrit(degrees, (1 + level) / 2)) * stderr
    return value - half, value + half
