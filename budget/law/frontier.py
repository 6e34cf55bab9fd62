"""New-task accuracy against retention: each method's Pareto frontier, raw and as RL's Razor draws it.

The paper keeps the models within two points of the frontier and fits an exponential (Shenfeld, Pari, Agrawal 2025); it
states neither how the distance is taken nor the form. Here a model is kept unless another is better by more than two
points on *both* axes, and the form is `retention = a - b · exp(c · (accuracy - end))` with b, c ≥ 0 and `end` the
method's best accuracy: falling, and faster towards the end. For a given c it is linear in a and b, so c is found on a
grid and the rest by weighted least squares. That cannot diverge as a search from a starting point can, and does all
resamples of the runs at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.points import Points
from perdure.budget.law.resample import LEVEL, RESAMPLES, Interval, percentile, run_counts

WITHIN = 0.02
_RATES = np.geomspace(0.1, 50.0, 400)
"""The grid of c, times the range of accuracy: from nearly straight to a cliff at the end."""

_FEWEST = 4
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Exponential:
    """`retention = top - drop · exp(rate · (accuracy - end))` for accuracies from `start` to `end`."""

    top: float
    drop: float
    rate: float
    start: float
    end: float

    def predict(self, accuracy: float) -> float | None:
        """Retention at an accuracy: `None` above `end`, which was not reached, and that of `start` below it."""
        if accuracy > self.end + _ROUNDING:
            return None
        return self.top - self.drop * float(np.exp(self.rate * (max(accuracy, self.start) - self.end)))


@dataclass(frozen=True)
class Frontier:
    """One method: its Pareto points by rising accuracy, and the exponential through the `kept` ones near them.

    `exponential` is `None` with fewer than four of those, or all of one accuracy.
    """

    method: str
    accuracy: tuple[float, ...]
    retention: tuple[float, ...]
    exponential: Exponential | None
    kept: int
    points: int
    runs: int


@dataclass(frozen=True)
class RetentionAt:
    """What a method keeps at an accuracy: from the exponential, and the best of the checkpoints that reach it.

    Intervals are from resampling the method's runs. That of the best one is one-sided by nature: no resample holds a
    better checkpoint than the best. `None` where the method never reaches the accuracy.
    """

    method: str
    accuracy: float
    exponential: Interval
    best: Interval


def frontiers(points: Points, base_score: float = 0.0, *, within: float = WITHIN) -> tuple[Frontier, ...]:
    """The frontier of every method.

    Args:
        points: checkpoints; those without a finite accuracy and forgetting are left out.
        base_score: the base's mean score on the benchmarks, so that retention is a score; with 0 it is the change.
        within: how far from the frontier a model may lie to be fitted, as a fraction.
    """
    return tuple(_frontier(cloud, within) for cloud in _clouds(points, base_score))


def retention_at(
    points: Points,
    accuracies: Sequence[float],
    base_score: float = 0.0,
    *,
    within: float = WITHIN,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[RetentionAt, ...]:
    """What every method keeps at each accuracy, with intervals. The arguments are those of `frontiers`."""
    found = []
    for cloud in _clouds(points, base_score):
        whole, drawn = _drawn(cloud, within, resamples, seed)
        found += [
            RetentionAt(
                cloud.method,
                accuracy,
                percentile(whole.fitted_B(accuracy)[0], drawn.fitted_B(accuracy), cloud.runs, level),
                percentile(whole.best_B(accuracy)[0], drawn.best_B(accuracy), cloud.runs, level),
            )
            for accuracy in accuracies
        ]
    return tuple(found)


def retention_difference(
    points: Points,
    method: str,
    other: str,
    accuracy: float,
    *,
    within: float = WITHIN,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> RetentionAt:
    """How much more `method` keeps at an accuracy than `other`; the runs of the two are drawn independently.

    Raises:
        ValueError: no checkpoint of one of them.
    """
    clouds = {cloud.method: cloud for cloud in _clouds(points, 0.0)}
    if method not in clouds or other not in clouds:
        raise ValueError(f"no checkpoints of {method if method not in clouds else other!r}")
    whole, drawn = _drawn(clouds[method], within, resamples, seed)
    other_whole, other_drawn = _drawn(clouds[other], within, resamples, seed + 1)
    runs = min(clouds[method].runs, clouds[other].runs)
    fitted_B = drawn.fitted_B(accuracy) - other_drawn.fitted_B(accuracy)
    best_B = drawn.best_B(accuracy) - other_drawn.best_B(accuracy)
    return RetentionAt(
        f"{method} - {other}",
        accuracy,
        percentile(whole.fitted_B(accuracy)[0] - other_whole.fitted_B(accuracy)[0], fitted_B, runs, level),
        percentile(whole.best_B(accuracy)[0] - other_whole.best_B(accuracy)[0], best_B, runs, level),
    )


def on_pareto(accuracy_P: NDArray[np.float64], retention_P: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where no other point is as good on both axes and better on one; of equal points the first. Shape (P,)."""
    order = np.lexsort((-retention_P, -accuracy_P))
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], retention_P[order][:-1]]))
    mask_P = np.zeros(len(accuracy_P), dtype=bool)
    mask_P[order] = retention_P[order] > best_before
    return mask_P


@dataclass(frozen=True, eq=False)
class _Cloud:
    """The checkpoints of one method by rising accuracy."""

    method: str
    accuracy_P: NDArray[np.float64]
    retention_P: NDArray[np.float64]
    run_P: NDArray[np.intp]
    runs: int


@dataclass(frozen=True, eq=False)
class _Fits:
    """The frontier of each of B resamples of one cloud; NaN where there is none."""

    cloud: _Cloud
    drawn_BP: NDArray[np.bool_]
    kept_BP: NDArray[np.bool_]
    top_B: NDArray[np.float64]
    drop_B: NDArray[np.float64]
    rate_B: NDArray[np.float64]

    def ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lowest accuracy kept and the highest, of each resample."""
        accuracy_P = self.cloud.accuracy_P
        last = len(accuracy_P) - 1
        return accuracy_P[self.kept_BP.argmax(1)], accuracy_P[last - self.kept_BP[:, ::-1].argmax(1)]

    def fitted_B(self, accuracy: float) -> NDArray[np.float64]:
        start_B, end_B = self.ends()
        at_B = np.maximum(accuracy, start_B) - self.cloud.accuracy_P[-1]
        value_B = self.top_B - self.drop_B * np.exp(self.rate_B * at_B)
        return np.where(accuracy <= end_B + _ROUNDING, value_B, np.nan)

    def best_B(self, accuracy: float) -> NDArray[np.float64]:
        able_P = self.cloud.accuracy_P >= accuracy - _ROUNDING
        best_B = np.where(self.drawn_BP & able_P, self.cloud.retention_P, -np.inf).max(1)
        return np.where(np.isfinite(best_B), best_B, np.nan)


def _clouds(points: Points, base_score: float) -> list[_Cloud]:
    known_P = np.isfinite(points.accuracy) & np.isfinite(points.forgetting)
    clouds = []
    for method in np.unique(points.method[known_P]):
        of_it = np.flatnonzero(known_P & (points.method == method))
        of_it = of_it[np.argsort(points.accuracy[of_it], kind="stable")]
        names, run_P = np.unique(points.run[of_it], return_inverse=True)
        retention_P = base_score - points.forgetting[of_it]
        clouds.append(_Cloud(str(method), points.accuracy[of_it].astype(float), retention_P, run_P, len(names)))
    return clouds


def _frontier(cloud: _Cloud, within: float) -> Frontier:
    fits = _fit(cloud, np.ones((1, len(cloud.accuracy_P))), within)
    pareto_P = on_pareto(cloud.accuracy_P, cloud.retention_P)
    start_B, end_B = fits.ends()
    exponential = None
    if np.isfinite(fits.top_B[0]):
        exponential = Exponential(
            float(fits.top_B[0]), float(fits.drop_B[0]), float(fits.rate_B[0]), float(start_B[0]), float(end_B[0])
        )
    return Frontier(
        method=cloud.method,
        accuracy=tuple(cloud.accuracy_P[pareto_P].tolist()),
        retention=tuple(cloud.retention_P[pareto_P].tolist()),
        exponential=exponential,
        kept=int(fits.kept_BP.sum()),
        points=len(cloud.accuracy_P),
        runs=cloud.runs,
    )


def _drawn(cloud: _Cloud, within: float, resamples: int, seed: int) -> tuple[_Fits, _Fits]:
    """The fit of all runs, and of resamples of them."""
    weight_BP = run_counts(cloud.runs, resamples, seed)[:, cloud.run_P]
    return _fit(cloud, np.ones((1, len(cloud.run_P))), within), _fit(cloud, weight_BP, within)


def _fit(cloud: _Cloud, weight_BP: NDArray[np.float64], within: float) -> _Fits:
    kept_BP = _near_pareto(cloud, weight_BP, within)
    span = float(np.ptp(cloud.accuracy_P)) or 1.0
    shape_GP = np.exp(_RATES[:, None] / span * (cloud.accuracy_P - cloud.accuracy_P[-1]))
    drawn_BP, weight_BP = weight_BP > 0, weight_BP * kept_BP
    total_B1 = weight_BP.sum(1, keepdims=True)
    mean_B1 = weight_BP @ cloud.retention_P[:, None] / total_B1
    shape_BG = weight_BP @ shape_GP.T / total_B1
    variance_BG = weight_BP @ (shape_GP**2).T / total_B1 - shape_BG**2
    cross_BG = (weight_BP * (cloud.retention_P - mean_B1)) @ shape_GP.T / total_B1
    able_BG = (variance_BG > _ROUNDING) & (cross_BG < 0)
    drop_BG = np.where(able_BG, -cross_BG / np.where(able_BG, variance_BG, 1.0), 0.0)
    gained_BG = drop_BG * -cross_BG
    best_B = gained_BG.argmax(1)[:, None]
    drop_B = np.take_along_axis(drop_BG, best_B, 1)[:, 0]
    top_B = mean_B1[:, 0] + drop_B * np.take_along_axis(shape_BG, best_B, 1)[:, 0]
    enough_B = (kept_BP.sum(1) >= _FEWEST) & _spread(cloud, kept_BP)
    return _Fits(cloud, drawn_BP, kept_BP, np.where(enough_B, top_B, np.nan), drop_B, _RATES[best_B[:, 0]] / span)


def _near_pareto(cloud: _Cloud, weight_BP: NDArray[np.float64], within: float) -> NDArray[np.bool_]:
    """Drawn points than which no other drawn one is better by more than `within` on both axes. Shape (B, P)."""
    drawn_BP = weight_BP > 0
    retention_BP = np.where(drawn_BP, cloud.retention_P, -np.inf)
    best_from_BP = np.maximum.accumulate(retention_BP[:, ::-1], axis=1)[:, ::-1]
    best_from_BP = np.pad(best_from_BP, ((0, 0), (0, 1)), constant_values=-np.inf)
    further_P = np.searchsorted(cloud.accuracy_P, cloud.accuracy_P + within + _ROUNDING, side="right")
    kept_BP: NDArray[np.bool_] = drawn_BP & (best_from_BP[:, further_P] <= cloud.retention_P + within + _ROUNDING)
    return kept_BP


def _spread(cloud: _Cloud, kept_BP: NDArray[np.bool_]) -> NDArray[np.bool_]:
    lowest_B = np.where(kept_BP, cloud.accuracy_P, np.inf).min(1)
    highest_B = np.where(kept_BP, cloud.accuracy_P, -np.inf).max(1)
    spread_B: NDArray[np.bool_] = highest_B > lowest_B
    return spread_B
