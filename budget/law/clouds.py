"""The checkpoints of one method in the plane of accuracy and retention, and the exponential near their frontier.

The exponential is `retention = top - drop · exp(rate · (accuracy - end))`; see `perdure.budget.law.frontier`. The rate
is found on a grid, and the rest, which is linear for a given rate, by weighted least squares. Unlike an iterative
search this cannot diverge, and it fits all resamples of the runs at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.points import SAME_ACCURACY, Points

ROUNDING = 1e-12
_RATES = np.geomspace(0.1, 50.0, 400)
"""The grid of rate × range of accuracy: from nearly straight to a cliff at the end."""

_MIN_POINTS = 4


def on_pareto(accuracy_P: NDArray[np.float64], retention_P: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask of Pareto points: no other is as good on both axes and better on one; of equal points the first. (P,)."""
    order = np.lexsort((-retention_P, -accuracy_P))
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], retention_P[order][:-1]]))
    mask_P = np.zeros(len(accuracy_P), dtype=bool)
    mask_P[order] = retention_P[order] > best_before
    return mask_P


@dataclass(frozen=True, eq=False)
class Cloud:
    """The checkpoints of one method in order of accuracy."""

    method: str
    accuracy_P: NDArray[np.float64]
    retention_P: NDArray[np.float64]
    run_P: NDArray[np.intp]
    runs: int


@dataclass(frozen=True, eq=False)
class CloudFits:
    """The fitted exponential of each of B resamples of one cloud; NaN: none."""

    cloud: Cloud
    drawn_BP: NDArray[np.bool_]
    kept_BP: NDArray[np.bool_]
    top_B: NDArray[np.float64]
    drop_B: NDArray[np.float64]
    rate_B: NDArray[np.float64]

    def ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lowest and the highest accuracy of the kept points of each resample. Each (B,)."""
        accuracy_P = self.cloud.accuracy_P
        last = len(accuracy_P) - 1
        return accuracy_P[self.kept_BP.argmax(1)], accuracy_P[last - self.kept_BP[:, ::-1].argmax(1)]

    def fitted_B(self, accuracy: float) -> NDArray[np.float64]:
        start_B, end_B = self.ends()
        at_B = np.maximum(accuracy, start_B) - self.cloud.accuracy_P[-1]
        value_B = self.top_B - self.drop_B * np.exp(self.rate_B * at_B)
        return np.where(accuracy <= end_B + SAME_ACCURACY, value_B, np.nan)

    def best_B(self, accuracy: float) -> NDArray[np.float64]:
        reaches_P = self.cloud.accuracy_P >= accuracy - SAME_ACCURACY
        best_B = np.where(self.drawn_BP & reaches_P, self.cloud.retention_P, -np.inf).max(1)
        return np.where(np.isfinite(best_B), best_B, np.nan)


def clouds_of(points: Points, base_score: float) -> list[Cloud]:
    """The cloud of every method with a checkpoint of finite accuracy and forgetting."""
    known_P = np.isfinite(points.accuracy) & np.isfinite(points.forgetting)
    clouds = []
    for method in np.unique(points.method[known_P]):
        rows = np.flatnonzero(known_P & (points.method == method))
        rows = rows[np.argsort(points.accuracy[rows], kind="stable")]
        names, run_P = np.unique(points.run[rows], return_inverse=True)
        retention_P = base_score - points.forgetting[rows]
        clouds.append(Cloud(str(method), points.accuracy[rows].astype(float), retention_P, run_P, len(names)))
    return clouds


def fit_cloud(cloud: Cloud, weight_BP: NDArray[np.float64], within: float) -> CloudFits:
    """Fit the exponential to each of B resamples, with checkpoints weighted by `weight_BP`."""
    kept_BP = _near_pareto(cloud, weight_BP, within)
    span = float(np.ptp(cloud.accuracy_P)) or 1.0
    shape_GP = np.exp(_RATES[:, None] / span * (cloud.accuracy_P - cloud.accuracy_P[-1]))
    drawn_BP, weight_BP = weight_BP > 0, weight_BP * kept_BP
    total_B1 = weight_BP.sum(1, keepdims=True)
    mean_B1 = weight_BP @ cloud.retention_P[:, None] / total_B1
    shape_BG = weight_BP @ shape_GP.T / total_B1
    variance_BG = weight_BP @ (shape_GP**2).T / total_B1 - shape_BG**2
    cross_BG = (weight_BP * (cloud.retention_P - mean_B1)) @ shape_GP.T / total_B1
    falls_BG = (variance_BG > ROUNDING) & (cross_BG < 0)
    drop_BG = np.where(falls_BG, -cross_BG / np.where(falls_BG, variance_BG, 1.0), 0.0)
    gained_BG = drop_BG * -cross_BG
    best_B = gained_BG.argmax(1)[:, None]
    drop_B = np.take_along_axis(drop_BG, best_B, 1)[:, 0]
    top_B = mean_B1[:, 0] + drop_B * np.take_along_axis(shape_BG, best_B, 1)[:, 0]
    enough_B = (kept_BP.sum(1) >= _MIN_POINTS) & _spread(cloud, kept_BP)
    return CloudFits(cloud, drawn_BP, kept_BP, np.where(enough_B, top_B, np.nan), drop_B, _RATES[best_B[:, 0]] / span)


def _near_pareto(cloud: Cloud, weight_BP: NDArray[np.float64], within: float) -> NDArray[np.bool_]:
    """Mask of drawn points that retain at most `within` less than the best drawn one as accurate or more: (B, P)."""
    drawn_BP = weight_BP > 0
    retention_BP = np.where(drawn_BP, cloud.retention_P, -np.inf)
    best_from_BP = np.maximum.accumulate(retention_BP[:, ::-1], axis=1)[:, ::-1]
    as_good_P = np.searchsorted(cloud.accuracy_P, cloud.accuracy_P - SAME_ACCURACY)
    kept_BP: NDArray[np.bool_] = drawn_BP & (best_from_BP[:, as_good_P] <= cloud.retention_P + within + ROUNDING)
    return kept_BP


def _spread(cloud: Cloud, kept_BP: NDArray[np.bool_]) -> NDArray[np.bool_]:
    lowest_B = np.where(kept_BP, cloud.accuracy_P, np.inf).min(1)
    highest_B = np.where(kept_BP, cloud.accuracy_P, -np.inf).max(1)
    spread_B: NDArray[np.bool_] = highest_B > lowest_B
    return spread_B
