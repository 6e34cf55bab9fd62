"""New-task accuracy against retention: each method's Pareto frontier, raw and as RL's Razor draws it.

The paper keeps the models within two points of the frontier and fits an exponential (Shenfeld, Pari, Agrawal 2025); it
defines neither the distance nor the form. Here a checkpoint is kept if it retains at most two points less than the best
of the method's that are at least as accurate, and the form is `retention = a - b · exp(c · (accuracy - end))` with
b, c ≥ 0 and `end` the method's best accuracy.

With several seeds every seed has a frontier of its own, and retention is a mean over seeds with Student's interval: the
best checkpoint among all seeds would be selected by luck.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.clouds import Cloud, CloudFits, clouds_of, fit_cloud, on_pareto
from perdure.budget.law.points import SAME_ACCURACY, Points
from perdure.budget.law.resample import LEVEL, RESAMPLES, Interval, over_groups, percentile, run_counts

WITHIN = 0.02


@dataclass(frozen=True)
class Exponential:
    """`retention = top - drop · exp(rate · (accuracy - end))` for accuracies from `start` to `end`."""

    top: float
    drop: float
    rate: float
    start: float
    end: float

    def predict(self, accuracy: float) -> float | None:
        """Retention at an accuracy; below `start` that at `start`, above `end` `None`, as it was not reached."""
        if accuracy > self.end + SAME_ACCURACY:
            return None
        return self.top - self.drop * float(np.exp(self.rate * (max(accuracy, self.start) - self.end)))


@dataclass(frozen=True)
class Frontier:
    """The Pareto points of one method and seed in order of accuracy, and the exponential through the `kept` points.

    `exponential` is `None` if fewer than four points are kept, or all have one accuracy.
    """

    method: str
    accuracy: tuple[float, ...]
    retention: tuple[float, ...]
    exponential: Exponential | None
    kept: int
    points: int
    runs: int
    seed: str


@dataclass(frozen=True)
class RetentionAt:
    """A method's retention at an accuracy: by the exponential, and of the best checkpoint that reaches it.

    With one seed, intervals come from resampling the method's runs. That of the best checkpoint is one-sided: no
    resample contains a better one. `None` if the method never reaches the accuracy.

    With several `seeds`, both are means over the `reached` seeds that reach the accuracy, with Student's interval;
    `None` if fewer than two do.
    """

    method: str
    accuracy: float
    exponential: Interval
    best: Interval
    reached: int
    seeds: int


def frontiers(points: Points, base_score: float = 0.0, *, within: float = WITHIN) -> tuple[Frontier, ...]:
    """The frontier of every method and seed.

    Args:
        points: checkpoints; those without a finite accuracy and forgetting are omitted.
        base_score: the base's mean score on the benchmarks, so that retention is a score; with 0 it is the change.
        within: the largest distance from the frontier of a checkpoint to be fitted, as a fraction.
    """
    found = [
        _frontier(cloud, within, seed)
        for seed in points.seeds
        for cloud in clouds_of(points.select(points.seed_P == seed), base_score)
    ]
    return tuple(sorted(found, key=lambda one: one.method))


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
    """Every method's retention at each accuracy, with intervals. The arguments are those of `frontiers`."""
    if len(points.seeds) > 1:
        methods = [str(name) for name in np.unique(points.method)]
        fits = {method: _fits_by_seed(points, method, base_score, within) for method in methods}
        return tuple(
            _over_seeds(method, accuracy, *_retentions(fits[method], accuracy), level)
            for method in methods
            for accuracy in accuracies
        )
    found = []
    for cloud in clouds_of(points, base_score):
        whole, drawn = _bootstrap(cloud, within, resamples, seed)
        found += [
            RetentionAt(
                cloud.method,
                accuracy,
                percentile(whole.fitted_B(accuracy)[0], drawn.fitted_B(accuracy), cloud.runs, level),
                percentile(whole.best_B(accuracy)[0], drawn.best_B(accuracy), cloud.runs, level),
                reached=int(np.isfinite(whole.best_B(accuracy)[0])),
                seeds=1,
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
    """The retention of `method` less that of `other` at an accuracy.

    With several seeds it is the mean of the differences within each seed in which both reach the accuracy, so that
    effects of a seed's base and data cancel. With one seed the runs of the two are resampled independently.

    Raises:
        ValueError: one of them has no checkpoint.
    """
    clouds = {cloud.method: cloud for cloud in clouds_of(points, 0.0)}
    if method not in clouds or other not in clouds:
        raise ValueError(f"no checkpoints of {method if method not in clouds else other!r}")
    name = f"{method} - {other}"
    if len(points.seeds) > 1:
        first, second = (_retentions(_fits_by_seed(points, one, 0.0, within), accuracy) for one in (method, other))
        return _over_seeds(name, accuracy, first[0] - second[0], first[1] - second[1], level)
    whole, drawn = _bootstrap(clouds[method], within, resamples, seed)
    other_whole, other_drawn = _bootstrap(clouds[other], within, resamples, seed + 1)
    runs = min(clouds[method].runs, clouds[other].runs)
    fitted_B = drawn.fitted_B(accuracy) - other_drawn.fitted_B(accuracy)
    best_B = drawn.best_B(accuracy) - other_drawn.best_B(accuracy)
    return RetentionAt(
        name,
        accuracy,
        percentile(whole.fitted_B(accuracy)[0] - other_whole.fitted_B(accuracy)[0], fitted_B, runs, level),
        percentile(whole.best_B(accuracy)[0] - other_whole.best_B(accuracy)[0], best_B, runs, level),
        reached=int(np.isfinite(whole.best_B(accuracy)[0] - other_whole.best_B(accuracy)[0])),
        seeds=1,
    )


def _fits_by_seed(points: Points, method: str, base_score: float, within: float) -> list[CloudFits | None]:
    """The fit of a method in each seed of all points; `None`: no checkpoint with figures."""
    found: list[CloudFits | None] = []
    for seed in points.seeds:
        clouds = clouds_of(points.select((points.seed_P == seed) & (points.method == method)), base_score)
        found.append(fit_cloud(clouds[0], np.ones((1, len(clouds[0].run_P))), within) if clouds else None)
    return found


def _retentions(fits: Sequence[CloudFits | None], accuracy: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Retention at an accuracy in each seed: by the exponential, and of the best checkpoint. Each (S,); NaN: never."""
    fitted_S = np.array([np.nan if one is None else one.fitted_B(accuracy)[0] for one in fits])
    best_S = np.array([np.nan if one is None else one.best_B(accuracy)[0] for one in fits])
    return fitted_S, best_S


def _over_seeds(
    name: str, accuracy: float, fitted_S: NDArray[np.float64], best_S: NDArray[np.float64], level: float
) -> RetentionAt:
    return RetentionAt(
        name,
        accuracy,
        over_groups(fitted_S, level, fewest=2),
        over_groups(best_S, level, fewest=2),
        reached=int(np.isfinite(best_S).sum()),
        seeds=len(best_S),
    )


def _frontier(cloud: Cloud, within: float, seed: str) -> Frontier:
    fits = fit_cloud(cloud, np.ones((1, len(cloud.accuracy_P))), within)
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
        seed=seed,
    )


def _bootstrap(cloud: Cloud, within: float, resamples: int, seed: int) -> tuple[CloudFits, CloudFits]:
    """The fit of all runs, and of resamples of them."""
    weight_BP = run_counts(cloud.runs, resamples, seed)[:, cloud.run_P]
    return fit_cloud(cloud, np.ones((1, len(cloud.run_P))), within), fit_cloud(cloud, weight_BP, within)
