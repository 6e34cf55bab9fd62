"""Forward KL on the task, on the generic probe, and on both: how well each predicts what was held out.

All three by the monotone curve and on the same checkpoints, those with both KLs.
"""

from dataclasses import dataclass

import numpy as np

from perdure.budget.errors import DataError
from perdure.budget.law.curves import can_fit, curve_kind
from perdure.budget.law.fit import Fit, fit_sample
from perdure.budget.law.points import LAW_PREDICTORS, Points
from perdure.budget.law.prediction import build_law
from perdure.budget.law.resample import LEVEL, RESAMPLES
from perdure.budget.law.sample import MIN_RUNS, sample_of_all, usable
from perdure.budget.law.saved import Law, Predictor

_KIND = "monotone"


@dataclass(frozen=True)
class Place:
    """One predictor: its fit, and the law with the mean width of its interval; `None`: too few runs for one."""

    predictor: Predictor
    fit: Fit
    law: Law | None
    width: float | None


def compare_places(
    points: Points, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Place, ...]:
    """Compare the predictors of `LAW_PREDICTORS`; empty where too few checkpoints have the KL on generic inputs."""
    mask_P = np.logical_and.reduce([usable(points, name) for name in LAW_PREDICTORS["both"]])
    both = sample_of_all(points, LAW_PREDICTORS["both"], mask_P)
    if both.runs < MIN_RUNS or not all(can_fit(_KIND, x_P) for x_P in both.x_P.T) or not len(both) > _fewest():
        return ()
    chosen = points.select(mask_P)
    return tuple(_place(chosen, predictor, level, resamples, seed) for predictor in LAW_PREDICTORS)


def _fewest() -> int:
    return curve_kind(_KIND).fewest


def _place(points: Points, predictor: Predictor, level: float, resamples: int, seed: int) -> Place:
    sample = sample_of_all(points, LAW_PREDICTORS[predictor])
    fit, _ = fit_sample(sample, _KIND, level=level, resamples=resamples, seed=seed)
    try:
        law = build_law(points, predictor=predictor, level=level, resamples=resamples, seed=seed)
    except DataError:
        return Place(predictor, fit, None, None)
    found = [law.predict(*map(float, np.ravel(x))) for x in sample.x_P]
    return Place(predictor, fit, law, float(np.mean([one.high - one.low for one in found])))
