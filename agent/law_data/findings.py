"""All fits and tests of `perdure law` on a dataset of checkpoints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from perdure.agent.law_data.dataset import OTHER_PROBES, LawDataset
from perdure.budget.errors import DataError
from perdure.budget.law.common_curve import CommonCurve, check_common_curve
from perdure.budget.law.curves import CURVES
from perdure.budget.law.fit import Fit, fit_law
from perdure.budget.law.floor import MethodExcess, method_excess
from perdure.budget.law.frontier import Frontier, RetentionAt, frontiers, retention_at, retention_difference
from perdure.budget.law.places import Place, compare_places
from perdure.budget.law.points import GENERIC_KL, Points
from perdure.budget.law.prediction import build_law
from perdure.budget.law.rivals import Rival, compare_predictors
from perdure.budget.law.sample import usable
from perdure.budget.law.saved import Law, Predictor

ACCURACY_WINDOW = 0.01
"""Checkpoints at most this far above an accuracy count as ones of that accuracy."""


@dataclass(frozen=True, eq=False)
class Findings:
    """Fits by kind of curve, predictors, methods, frontiers; the law, or the reason why there is none (`no_law`).

    `excess` is over all checkpoints; `excess_at[i]` over those from `accuracies[i]` to a point above, so that methods
    are compared at equal learning. Retention is a score on the benchmarks if the base's is known, else the change from
    the base. `behind[i]`: with several seeds, each method at `accuracies[i]` less the best there. `law` predicts from
    `predictor`; `places` compares all that it could predict from, where the generic probe was read.
    """

    dataset: LawDataset
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
    places: tuple[Place, ...]
    predictor: Predictor

    @property
    def points(self) -> Points:
        return self.dataset.points

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
    def base_entropy(self) -> tuple[float, float] | None:
        """The base's entropy over right answers and the most that it may be, in nats; `None`: not known."""
        found = self.dataset.base_entropy, self.dataset.base_entropy_most
        return found if np.isfinite(found).all() else None

    @property
    def base_score(self) -> float | None:
        return self.dataset.base_score if np.isfinite(self.dataset.base_score) else None


def compute_findings(
    dataset: LawDataset,
    accuracies: Sequence[float],
    on_progress: Callable[[str], object],
    predictor: Predictor = "task",
) -> Findings:
    """Fit, compare and test, which may take half a minute; `on_progress` gets the name of each step.

    Raises:
        DataError: too few checkpoints or runs for a fit, a constant forward KL, or a `predictor` that was not measured.
    """
    refuse_unmeasured(dataset, predictor)
    points, base_score = dataset.points, dataset.base_score if np.isfinite(dataset.base_score) else 0.0
    on_progress("fitting the curves")
    fits = {kind: fit_law(points, kind) for kind in CURVES}
    on_progress("comparing the predictors")
    rivals = compare_predictors(points)
    on_progress("comparing the methods")
    common = check_common_curve(points)
    on_progress("testing the interval on held-out runs")
    law, no_law = _law(dataset, predictor)
    on_progress("comparing where KL is measured")
    places = compare_places(points)
    on_progress("computing the frontiers")
    retention = retention_at(points, accuracies, base_score) if accuracies else ()
    return Findings(
        dataset=dataset,
        accuracies=tuple(accuracies),
        fits=fits,
        rivals=rivals,
        common=common,
        law=law,
        no_law=no_law,
        frontiers=frontiers(points, base_score),
        retention=retention,
        behind=tuple(_behind(points, rank_methods(retention, accuracy)) for accuracy in accuracies),
        excess=method_excess(points),
        excess_at=tuple(method_excess(points, (accuracy, accuracy + ACCURACY_WINDOW)) for accuracy in accuracies),
        places=places,
        predictor=predictor,
    )


def refuse_unmeasured(dataset: LawDataset, predictor: Predictor) -> None:
    """Refuse a predictor whose KL is not known at any checkpoint, or is on other texts in other runs.

    Raises:
        DataError: says how to have it measured.
    """
    if predictor != "task" and dataset.other_probes:
        raise DataError(f"--predictor {predictor}: {OTHER_PROBES}:{dataset.other_probes}\nFit a law to each by itself")
    if predictor != "task" and not usable(dataset.points, GENERIC_KL).any():
        raise DataError(
            f"--predictor {predictor}: no checkpoint has the KL on the generic probe ({GENERIC_KL}), since these runs "
            "and sweeps were made without it: run them again, or leave --predictor out"
        )


def rank_methods(retention: Sequence[RetentionAt], accuracy: float) -> list[RetentionAt]:
    """The methods at an accuracy, highest retention first; those without an exponential last."""
    found = [one for one in retention if one.accuracy == accuracy]
    return sorted(found, key=lambda one: (one.exponential.value is None, -_retention(one)))


def _retention(one: RetentionAt) -> float:
    value = one.best.value if one.exponential.value is None else one.exponential.value
    return -np.inf if value is None else value


def _behind(points: Points, found: Sequence[RetentionAt]) -> dict[str, RetentionAt]:
    """By method, its retention less that of the best one, within each seed; empty with one seed."""
    if len(points.seeds) < 2 or not found:
        return {}
    best = best_method(found)
    return {
        one.method: retention_difference(points, one.method, best.method, one.accuracy) for one in found if one != best
    }


def best_method(ranking: Sequence[RetentionAt]) -> RetentionAt:
    """The first of those that most seeds reach: a mean over few seeds may be high by chance."""
    return max(ranking, key=lambda one: one.reached)


def _law(dataset: LawDataset, predictor: Predictor) -> tuple[Law | None, str]:
    """The law with its interval, or the reason if there are too few runs for one."""
    try:
        law = build_law(dataset.points, dataset.benchmarks, predictor=predictor)
    except DataError as error:
        return None, str(error)
    known = np.isfinite(dataset.base_entropy) and np.isfinite(dataset.base_entropy_most)
    entropy, most = (dataset.base_entropy, dataset.base_entropy_most) if known else (None, None)
    probe = (next(iter(dataset.probes), "") if law.on_probe else "") or ""
    return replace(law, base_entropy=entropy, base_entropy_most=most, model=dataset.model, probe=probe), ""
