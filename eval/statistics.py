"""Means, intervals and paired tests on per-item results. Imports numpy alone; scipy only for a quantile of t.

Two checkpoints are compared on the same items, pair by pair: the difference of two independent proportions would
throw away that an item which is hard for one is hard for the other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_EXACT_PERMUTATIONS = 16


@dataclass(frozen=True)
class Mean:
    """A mean over `n` items; `nan` over none. `stderr` and the interval are `None` below two items."""

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Paired:
    """After minus before, on the same items. Interval and p-value are `None` ("n/a") below two items."""

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int


def mean(values: Sequence[float], *, level: float = LEVEL) -> Mean:
    """Mean, standard error s / sqrt(n) with the n - 1 variance, and an interval.

    The interval is Wilson's where every value is 0 or 1, Student's otherwise. Wilson's does not shrink to a point when
    all items agree, which the standard error does.
    """
    x = np.asarray(values, dtype=float)
    n = len(x)
    if n == 0:
        return Mean(math.nan, None, None, None, 0)
    value = float(x.mean())
    if n == 1:
        return Mean(value, None, None, None, 1)
    stderr = float(x.std(ddof=1)) / math.sqrt(n)
    low, high = wilson(float(x.sum()), n, level=level) if _binary(x) else _student(value, stderr, n, level)
    return Mean(value, stderr, low, high, n)


def wilson(successes: float, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927).

    (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), within [0, 1].

    Raises:
        ValueError: no items, or more successes than items.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes among {n} items")
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = successes / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def paired(before: Mapping[str, float], after: Mapping[str, float], *, level: float = LEVEL, seed: int = 0) -> Paired:
    """Compare two results on the same items, given by id.

    Scores that are all 0 or 1: McNemar's exact test, and Newcombe's interval for the difference of paired proportions.
    Other scores: a sign-flip permutation test of the mean difference, and Student's interval.

    Raises:
        ValueError: the ids differ, or a score is not finite.
    """
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise ValueError(f"paired results must be of the same items; {len(odd)} are in one only, such as {odd[0]!r}")
    ids = sorted(before)
    x = np.array([before[key] for key in ids], dtype=float)
    y = np.array([after[key] for key in ids], dtype=float)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("paired results must be finite")
    n = len(ids)
    if n < 2:
        return Paired(float((y - x).mean()) if n else math.nan, None, None, None, n)
    difference = float((y - x).mean())
    if _binary(x) and _binary(y):
        gained, lost = int(((y == 1) & (x == 0)).sum()), int(((y == 0) & (x == 1)).sum())
        both = int(((y == 1) & (x == 1)).sum())
        low, high = newcombe(both, gained, lost, n - both - gained - lost, level=level)
        return Paired(difference, low, high, mcnemar(gained, lost), n)
    low, high = _student(difference, float((y - x).std(ddof=1)) / math.sqrt(n), n, level)
    return Paired(difference, low, high, sign_flip(y - x, seed=seed), n)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact McNemar test: the items that changed are fair coin tosses under the null (1 if none did)."""
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / 2**n))


def newcombe(both: int, gained: int, lost: int, neither: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Interval of a difference of paired proportions: Newcombe 1998 (Statistics in Medicine 17:2635), method 10.

    Wilson intervals of the two proportions are combined by squaring and adding, less the correlation phi of the two
    results, with the paper's continuity correction to phi's numerator. `after - before`, so `gained` counts as plus.
    """
    n = both + gained + lost + neither
    after, before = (both + gained) / n, (both + lost) / n
    low_after, high_after = wilson(both + gained, n, level=level)
    low_before, high_before = wilson(both + lost, n, level=level)
    phi = _phi(both, gained, lost, neither)
    down = _square_and_add(after - low_after, high_before - before, phi)
    up = _square_and_add(high_after - after, before - low_before, phi)
    return max(-1.0, after - before - down), min(1.0, after - before + up)


def sign_flip(differences: Sequence[float] | NDArray[np.float64], *, seed: int = 0, resamples: int = 10_000) -> float:
    """Two-sided sign-flip permutation test of a mean difference of zero.

    Under the null each difference is as likely to have the other sign. All sign patterns are counted where at most 16
    differences are not zero; beyond that `resamples` seeded ones, with p = (1 + hits) / (1 + resamples)
    (Phipson and Smyth 2010).
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
    """Holm's step-down adjustment for several comparisons (Holm 1979); `None` stays `None` and does not count."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = largest
    return adjusted


def _binary(x: NDArray[np.float64]) -> bool:
    return bool(np.isin(x, (0.0, 1.0)).all())


def _student(value: float, stderr: float, n: int, level: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, (1 + level) / 2)) * stderr
    return value - half, value + half


def _phi(both: int, gained: int, lost: int, neither: int) -> float:
    n = both + gained + lost + neither
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if margins == 0:
        return 0.0
    cross = float(both * neither - gained * lost)
    if cross > 0:
        cross = max(cross - n / 2, 0.0)
    return cross / math.sqrt(margins)


def _square_and_add(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))
