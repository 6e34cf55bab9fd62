"""All that `perdure law` finds out about a pool of checkpoints, before any of it is printed or drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perdure.agent.law_data.pool import Pool
from perdure.budget.errors import DataError
from perdure.budget.law.common_curve import CommonCurve, check_common_curve
from perdure.budget.law.curves import CURVES
from perdure.budget.law.fit import Fit, fit_law
from perdure.budget.law.floor import MethodExcess, method_excess
from perdure.budget.law.frontier import Frontier, RetentionAt, frontiers, retention_at, retention_difference
from perdure.budget.law.points import Points
from perdure.budget.law.prediction import build_law
from perdure.budget.law.rivals import Rival, compare_predictors
from perdure.budget.law.saved import Law

NEAR = 0.01
"""How far above an accuracy a checkpoint may lie to count as one of that accuracy."""


@dataclass(frozen=True, eq=False)
class Findings:
    """Fits by kind of curve, predictors, methods, frontiers; the law, or why there is none to save (`no_law`).

    `excess` is over all checkpoints; `excess_at[i]` over those from `accuracies[i]` to a point above, so that methods
    are compared where they have learned alike. Retention is a score on the benchmarks where the base's is known, else
    its change since the base. `behind[i]`: with several seeds, each method at `accuracies[i]` less the best there.
    """

    pool: Pool
    accuracies: tuple[float, ...]
    fits: Mapping[str, Fit]
    rivals: tuple[Rival, ...]
    common: CommonCurve
    law: Law | None
    no_law: str
    frontiers: tuple[Frontier, ...]
    retention: tuple[RetentionAt, ...]
    behind: tuple[Mapping[str, RetentionAt], ...]
    excess: tuple[MethodExcess, ...]
    excess_at: tuple[tuple[MethodExcess, ...], ...]

    @property
    def points(self) -> Points:
        return self.pool.points

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(str(name) for name in np.unique(self.points.method))

    @property
    def seeds(self) -> int:
        return len(self.points.seeds)

    @property
    def runs(self) -> int:
        return len(np.unique(self.points.run))

    @property
    def base_score(self) -> float | None:
        return self.pool.base_score if np.isfinite(self.pool.base_score) else None


def find_out(pool: Pool, accuracies: Sequence[float], say: Callable[[str], object]) -> Findings:
    """Fit, compare and test. `say` is told what goes on, since it may take half a minute.

    Raises:
        DataError: too few checkpoints or runs for a fit, or a forward KL that is the same everywhere.
    """
    points, base_score = pool.points, pool.base_score if np.isfinite(pool.base_score) else 0.0
    say("fitting the curves")
    fits = {kind: fit_law(points, kind) for kind in CURVES}
    say("comparing the predictors")
    rivals = compare_predictors(points)
    say("comparing the methods")
    common = check_common_curve(points)
    say("trying the interval on held-out runs")
    law, no_law = _law(pool)
    say("drawing the frontiers")
    retention = retention_at(points, accuracies, base_score) if accuracies else ()
    return Findings(
        pool=pool,
        accuracies=tuple(accuracies),
        fits=fits,
        rivals=rivals,
        common=common,
        law=law,
        no_law=no_law,
        frontiers=frontiers(points, base_score),
        retention=retention,
        behind=tuple(_behind(points, ranked(retention, accuracy)) for accuracy in accuracies),
        excess=method_excess(points),
        excess_at=tuple(method_excess(points, (accuracy, accuracy + NEAR)) for accuracy in accuracies),
    )


def ranked(retention: Sequence[RetentionAt], accuracy: float) -> list[RetentionAt]:
    """The methods at an accuracy, the one that keeps most first; those without an exponential after the others."""
    found = [one for one in retention if one.accuracy == accuracy]
    return sorted(found, key=lambda one: (one.exponential.value is None, -_kept(one)))


def _kept(one: RetentionAt) -> float:
    value = one.best.value if one.exponential.value is None else one.exponential.value
    return -np.inf if value is None else value


def _behind(points: Points, found: Sequence[RetentionAt]) -> dict[str, RetentionAt]:
    """By method, how much it keeps less the best one, within each seed; nothing with one seed."""
    if len(points.seeds) < 2 or not found:
        return {}
    best = best_of(found)
    return {
        one.method: retention_difference(points, one.method, best.method, one.accuracy) for one in found if one != best
    }


def best_of(found: Sequence[RetentionAt]) -> RetentionAt:
    """The first of those that the most seeds reach: a mean over few seeds may be high by what these seeds are."""
    return max(found, key=lambda one: one.reached)


def _law(pool: Pool) -> tuple[Law | None, str]:
    """The law with its interval; with too few runs for one, the reason, since the curves can still be told."""
    try:
        return build_law(pool.points, pool.benchmarks), ""
    except DataError as error:
        return None, str(error)
