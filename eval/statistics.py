"""Intervals and paired tests on per-item results. Imports scipy only for a quantile of t.

Two checkpoints are compared item by item, as an item that is hard for one is often hard for the other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from perdure.budget.significance import holm, sign_flip, student

__all__ = ["LEVEL", "Paired", "holm", "mcnemar", "newcombe", "paired", "sign_flip", "wilson"]

LEVEL = 0.95


@dataclass(frozen=True)
class Paired:
    """After minus before, on the same items. Interval and p-value are `None` below two items."""

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int


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

    If all scores are 0 or 1: McNemar's exact test, and Newcombe's interval for the difference of paired proportions.
    Else: a sign-flip permutation test of the mean difference, and Student's interval.

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
    low, high = student(difference, float((y - x).std(ddof=1)) / math.sqrt(n), n - 1, level)
    return Paired(difference, low, high, sign_flip(y - x, seed=seed), n)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact McNemar test: under the null the changed items are fair coin tosses; 1 if none changed."""
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / 2**n))


def newcombe(both: int, gained: int, lost: int, neither: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Interval of the difference `after - before` of paired proportions.

    Newcombe 1998 (Statistics in Medicine 17:2635), method 10: Wilson intervals of the two proportions are combined by
    squaring and adding, less the correlation phi of the results, with the paper's continuity correction of phi.
    """
    n = both + gained + lost + neither
    after, before = (both + gained) / n, (both + lost) / n
    low_after, high_after = wilson(both + gained, n, level=level)
    low_before, high_before = wilson(both + lost, n, level=level)
    phi = _phi(both, gained, lost, neither)
    down = _square_and_add(after - low_after, high_before - before, phi)
    up = _square_and_add(high_after - after, before - low_before, phi)
    return max(-1.0, after - before - down), min(1.0, after - before + up)


def _binary(x: NDArray[np.float64]) -> bool:
    return bool(((x == 0.0) | (x == 1.0)).all())


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
