"""How many items a score needs: a sequential interval of its change since the base, and when it is enough.

The items of a column are asked in one order, drawn once, so that those asked so far are a simple random sample of all,
without replacement. After `looks` of them the interval of the change over *all* items is computed, at levels that hold
for all looks together: the first spends half of the error, so that what did not change ends there, and the others share
the rest (Bonferroni). Asking ends at the first look where

- both ends of the interval lie within the precision of the estimate, and
- the paired test of what was asked is clear (p < 0.001) or far from a verdict (p ≥ 0.3, and p ≥ 0.02 if all items
  changed as those asked did). Stopping for a verdict only at p < 0.001 is the rule of Haybittle (1971) and Peto (1976):
  each look adds at most 0.001 to the test's error.

The interval is that of Bonett and Price (2012) for a difference of paired proportions, a Wald interval after one gain
and one loss are added; here of any differences from -1 to 1, with the correction for a finite population. It rests on
simulation (tests/eval/test_asking.py); a betting confidence sequence without replacement (Waudby-Smith and Ramdas 2020,
2023) rests on proof, and asks 1.2 to 2 times as many items where some changed (docs/experiments/speed.md).
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from perdure.eval.statistics import LEVEL, paired

FIRST, GROWTH = 64, 1.5
"""Items of the first look, and how much larger each next one is."""
NEARLY_ALL = 0.95
"""The share of the items from which on the rest is asked too."""
CLEAR, OPEN = 0.001, 0.3
"""The p-values below and from which on a paired test of what was asked may end the asking."""
ALIKE = 0.02
"""The p-value from which on it may, if all items changed as those asked did."""


def looks(items: int) -> tuple[int, ...]:
    """The numbers of items after which asking may end, of so many: all of them apart."""
    found, n = [], FIRST
    while n < NEARLY_ALL * items:
        found.append(n)
        n = math.ceil(n * GROWTH)
    return tuple(found)


def change_over_all(differences: Sequence[float], items: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of the mean difference over all `items`, of which the first ones of `looks` gave `differences`.

    With n differences, S = Σd and Q = Σd²: m = S / (n + 2), v = (Q + 2) / (n + 2) - m², and m ± z·sqrt(v / (n + 2) ·
    (N - n) / (N - 1)), z two-sided at the error of the look.
    """
    n, total, squares = len(differences), math.fsum(differences), math.fsum(d * d for d in differences)
    mean = total / (n + 2)
    variance = (squares + 2) / (n + 2) - mean * mean
    z = NormalDist().inv_cdf(1 - _error(n, len(looks(items)), 1 - level) / 2)
    half = z * math.sqrt(variance / (n + 2) * max(0, items - n) / max(1, items - 1))
    return mean - half, mean + half


def _error(n: int, count: int, error: float) -> float:
    """The part of the error that the look after n of the items spends, one of `count`."""
    if count < 2:
        return error
    return error / 2 if n <= FIRST else error / 2 / (count - 1)


def enough(
    before: Mapping[str, float], after: Mapping[str, float], items: int, precision: float
) -> tuple[float, float] | None:
    """The interval of the change over all `items` if those of `after` are enough; `None`: ask on.

    Scores are from 0 to 1 by item, `precision` is a fraction.
    """
    known = [key for key in after if key in before]
    if len(known) < 2:
        return None
    differences = [after[key] - before[key] for key in known]
    low, high = change_over_all(differences, items)
    mean = math.fsum(differences) / len(known)
    if max(high - mean, mean - low) > precision:
        return None
    test = paired({key: before[key] for key in known}, {key: after[key] for key in known})
    assert test.p_value is not None
    open_ = test.p_value >= OPEN and if_all_changed_alike(differences, items) >= ALIKE
    return (low, high) if test.p_value < CLEAR or open_ else None


def if_all_changed_alike(differences: Sequence[float], items: int) -> float:
    """The p-value of the change, by the normal distribution, if all `items` changed as those of `differences` did.

    z = |Σd| / sqrt(Σd²) · sqrt(N / n), of which McNemar's is the case of differences of -1, 0 and 1.
    """
    total, squares = math.fsum(differences), math.fsum(d * d for d in differences)
    z = abs(total) / math.sqrt(squares) * math.sqrt(items / len(differences)) if squares else 0.0
    return 2 * (1 - NormalDist().cdf(z))


def order(items: int, seed: int) -> list[int]:
    """The places of the items in the order in which they are asked."""
    return [int(place) for place in np.random.default_rng(seed).permutation(items)]
