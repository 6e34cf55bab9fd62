"""The least KL that reaches a given mass of right answers, and what a method spent above it.

If the base puts mass a on right answers and the policy mass b, then
`KL(π0 ‖ π) ≥ a ln(a/b) + (1 - a) ln((1 - a)/(1 - b))`, by the data-processing inequality for "right or wrong"; equality
holds for the policy that re-weights the base's right and wrong answers as two blocks, q* ∝ π0·R in the limit b → 1. It
holds whichever of a and b is larger: a policy that lost mass has moved, too, and its floor is not zero.

Over several items the KL is a mean of items, and so is its floor, `kl_floor_items`. The floor of the mean masses,
`kl_floor`, is never above that (the KL is jointly convex, so Jensen's inequality applies): it is a bound too, but a
looser one, and excess over it is overstated. Use the items where they are known.

A floor is in nats a whole answer. It may be held against a KL of the same answers, on the same inputs, only: a KL a
sequence, or that of a single choice, and not a KL a token of longer answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.points import FORWARD_KL, SAME_ACCURACY, Points
from perdure.budget.law.resample import LEVEL, Interval, over_groups

FLOOR = "kl_floor"
"""The column of `Points.predictors` with floors from items, where whoever measured had them."""

_ROUNDING = 1e-5


@dataclass(frozen=True)
class MethodExcess:
    """Mean KL, floor and excess of a method's checkpoints, in nats.

    Each is the mean of the runs' means, so that every run counts alike; intervals are Student's over those, `None`
    below two runs. With several seeds they are taken within every seed first, and the intervals are over seeds. All are
    `None` without a checkpoint.
    """

    method: str
    kl: Interval
    floor: Interval
    excess: Interval
    points: int
    runs: int
    seeds: int


def kl_floor(base_mass_N: NDArray[np.float64], mass_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """`a ln(a/b) + (1 - a) ln((1 - a)/(1 - b))` of each pair of masses, in nats. Shape (N,).

    `0 ln 0` is 0; infinite where the policy gives no mass to what the base may say (b = 0 < a, or b = 1 > a); NaN where
    a mass is NaN. A mass that leaves [0, 1] by a rounding of single precision counts as the end it passed.

    Raises:
        ValueError: shapes differ or are not (N,), or a mass is not a probability.
    """
    if base_mass_N.shape != mass_N.shape or mass_N.ndim != 1:
        raise ValueError(f"masses must both be of shape (N,), got {base_mass_N.shape} and {mass_N.shape}")
    from scipy.special import rel_entr

    a_N, b_N = _probability(base_mass_N), _probability(mass_N)
    floor_N: NDArray[np.float64] = rel_entr(a_N, b_N) + rel_entr(1 - a_N, 1 - b_N)
    return np.maximum(floor_N, 0.0)


def kl_floor_items(base_mass_N: NDArray[np.float64], mass_N: NDArray[np.float64]) -> float:
    """The mean over N items of their floors, in nats: the floor of a KL that is a mean over the same items.

    Raises:
        ValueError: no items, or as for `kl_floor`.
    """
    if not len(mass_N):
        raise ValueError("a mean over items needs at least one")
    return float(kl_floor(base_mass_N, mass_N).mean())


def floors(points: Points) -> NDArray[np.float64]:
    """The floor of each checkpoint: from items where the points have them, else of the mean masses. Shape (P,)."""
    pooled_P = kl_floor(points.base_mass, points.mass)
    items_P = points.predictors.get(FLOOR)
    return pooled_P if items_P is None else np.where(np.isnan(items_P), pooled_P, items_P)


def method_excess(
    points: Points, accuracy: tuple[float, float] = (0.0, 1.0), *, level: float = LEVEL
) -> tuple[MethodExcess, ...]:
    """What every method spent above the floor, at the checkpoints with an accuracy between two (both included).

    Checkpoints whose KL or floor is not finite are left out.
    """
    kl_P = points.predictors.get(FORWARD_KL, np.full(len(points), np.nan))
    floor_P = floors(points)
    chosen_P = np.isfinite(kl_P) & np.isfinite(floor_P)
    chosen_P &= (points.accuracy >= accuracy[0] - SAME_ACCURACY) & (points.accuracy <= accuracy[1] + SAME_ACCURACY)
    several = len(points.seeds) > 1
    found = []
    for method in np.unique(points.method):
        mask_P = chosen_P & (points.method == method)
        run_P, seed_P = points.run[mask_P], points.seed_P[mask_P]
        over = [run_P, seed_P] if several else [run_P]
        found.append(
            MethodExcess(
                method=str(method),
                kl=_mean_over(kl_P[mask_P], over, level),
                floor=_mean_over(floor_P[mask_P], over, level),
                excess=_mean_over((kl_P - floor_P)[mask_P], over, level),
                points=int(mask_P.sum()),
                runs=len(np.unique(run_P)),
                seeds=len(np.unique(seed_P)),
            )
        )
    return tuple(found)


def _mean_over(values_P: NDArray[np.float64], over: Sequence[NDArray[np.str_]], level: float) -> Interval:
    """The mean over the last of `over` of means, which are over the one before it; an interval over the last."""
    *inner, outer = over
    for group_P in inner:
        names, first, number_P = np.unique(group_P, return_index=True, return_inverse=True)
        values_P = np.bincount(number_P, values_P, len(names)) / np.bincount(number_P, minlength=len(names))
        outer = outer[first]
    _, number_P = np.unique(outer, return_inverse=True)
    return over_groups(np.bincount(number_P, values_P) / np.bincount(number_P), level)


def _probability(mass_N: NDArray[np.float64]) -> NDArray[np.float64]:
    if ((mass_N < -_ROUNDING) | (mass_N > 1 + _ROUNDING)).any():
        raise ValueError(f"a mass is a probability, got {float(np.nanmin(mass_N))} to {float(np.nanmax(mass_N))}")
    clipped: NDArray[np.float64] = np.clip(mass_N.astype(np.float64), 0.0, 1.0)
    return clipped
