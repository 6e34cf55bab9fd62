"""The least KL that reaches a given mass of right answers, and the excess of a method above it.

If the base puts mass a on right answers and the policy mass b, then
`KL(π0 ‖ π) ≥ a ln(a/b) + (1 - a) ln((1 - a)/(1 - b))`, by the data-processing inequality for "right or wrong"; equality
holds for the policy that re-weights the base's right and wrong answers as two blocks, q* ∝ π0·R in the limit b → 1. It
holds for a > b, too: a policy that lost mass has a floor above zero.

Over several items the KL is a mean, and so is its floor, `kl_floor_items`. The floor of the mean masses, `kl_floor`, is
never above it (Jensen's inequality, as the KL is jointly convex): a looser bound, so that excess over it is overstated.
Use the items if they are known.

A floor is in nats per answer. Compare it only with the KL of the same answers on the same inputs: a KL per sequence or
of a single choice, not a KL per token of longer answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.points import FORWARD_KL, SAME_ACCURACY, Points
from perdure.budget.law.resample import LEVEL, Interval, over_groups

FLOOR = "kl_floor"
"""The column of `Points.predictors` with floors from items, if they were measured."""

_ROUNDING = 1e-5


@dataclass(frozen=True)
class MethodExcess:
    """Mean KL, floor and excess of a method's checkpoints, in nats.

    Each is the mean of the runs' means, with Student's interval over those, `None` below two runs. With several seeds
    it is the mean of the seeds' means of these, with the interval over seeds. All are `None` without a checkpoint.
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

    `0 ln 0` is 0; infinite if the policy gives no mass to what the base may answer (b = 0 < a, or b = 1 > a); NaN if a
    mass is NaN. A mass outside [0, 1] by a rounding of single precision is clipped.

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
    """The floor of each checkpoint: from items if known, else of the mean masses. Shape (P,)."""
    pooled_P = kl_floor(points.base_mass, points.mass)
    items_P = points.predictors.get(FLOOR)
    return pooled_P if items_P is None else np.where(np.isnan(items_P), pooled_P, items_P)


def method_excess(
    points: Points, accuracy: tuple[float, float] = (0.0, 1.0), *, level: float = LEVEL
) -> tuple[MethodExcess, ...]:
    """Every method's excess above the floor, at its checkpoints with an accuracy in the closed range `accuracy`.

    Checkpoints whose KL or floor is not finite are omitted.
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
    """The nested mean over the groupings `over`, innermost first, with an interval over the last."""
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
