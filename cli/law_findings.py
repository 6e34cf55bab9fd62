"""All that `perdure law` finds out about a pool of checkpoints, before any of it is printed or drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perdure.agent.points.pool import Pool
from perdure.budget.errors import DataError
from perdure.budget.law.common_curve import CommonCurve, check_common_curve
from perdure.budget.law.curves import CURVES
from perdure.budget.law.fit import Fit, fit_law
from perdure.budget.law.floor import MethodExcess, method_excess
from perdure.budget.law.frontier import Frontier, RetentionAt, frontiers, retention_at
from perdure.budget.law.points import Points
from perdure.budget.law.prediction import build_law
from perdure.budget.law.rivals import Rival, compare_predictors
from perdure.budget.law.saved import Law


@dataclass(frozen=True, eq=False)
class Findings:
    """Fits by kind of curve, predictors, methods, frontiers; the law, or why there is none to save (`no_law`).

    `excess` is over all checkpoints; `excess_at[i]` over those with at least `accuracies[i]`. Retention is a score on
    the benchmarks where the base's is known, else its change since the base.
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
    excess: tuple[MethodExcess, ...]
    excess_at: tuple[tuple[MethodExcess, ...], ...]

    @property
    def points(self) -> Points:
        return self.pool.points

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(str(name) for name in np.unique(self.points.method))

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
    return Findings(
        pool=pool,
        accuracies=tuple(accuracies),
        fits=fits,
        rivals=rivals,
        common=common,
        law=law,
        no_law=no_law,
        frontiers=frontiers(points, base_score),
        retention=retention_at(points, accuracies, base_score) if accuracies else (),
        excess=method_excess(points),
        excess_at=tuple(method_excess(points, (accuracy, 1.0)) for accuracy in accuracies),
    )


def _law(pool: Pool) -> tuple[Law | None, str]:
    """The law with its interval; with too few runs for one, the reason, since the curves can still be told."""
    try:
        return build_law(pool.points, pool.benchmarks), ""
    except DataError as error:
        return None, str(error)
