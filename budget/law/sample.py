"""The checkpoints that one predictor, or two together, can be fitted on, with numbered runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError
from perdure.budget.law.points import Points

MIN_RUNS = 2


@dataclass(frozen=True, eq=False)
class Sample:
    """P checkpoints with a finite forgetting `y_P` and a finite value `x_P` of one predictor.

    With two predictors `x_P` has shape (P, 2), and `predictor` names both. `run_P` numbers the runs from 0 to
    `runs - 1`. `dropped` checkpoints had no finite value.
    """

    predictor: str
    x_P: NDArray[np.float64]
    y_P: NDArray[np.float64]
    run_P: NDArray[np.intp]
    method_P: NDArray[np.str_]
    seed_P: NDArray[np.str_]
    runs: int
    dropped: int

    def __len__(self) -> int:
        return len(self.x_P)

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(str(name) for name in np.unique(self.method_P))

    @property
    def seeds(self) -> tuple[str, ...]:
        return tuple(str(name) for name in np.unique(self.seed_P))

    def by_run(self, values_P: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of each run. Shape (R,)."""
        sums_R: NDArray[np.float64] = np.bincount(self.run_P, values_P, self.runs).astype(np.float64)
        return sums_R


def usable(points: Points, predictor: str) -> NDArray[np.bool_]:
    """Mask of the checkpoints with finite forgetting and predictor; none if the column is missing. Shape (P,)."""
    if predictor not in points.predictors:
        return np.zeros(len(points), dtype=bool)
    found: NDArray[np.bool_] = np.isfinite(points.forgetting) & np.isfinite(points.predictors[predictor])
    return found


def sample_of(points: Points, predictor: str, mask_P: NDArray[np.bool_] | None = None) -> Sample:
    """The sample of one predictor, from its usable checkpoints or the usable ones of `mask_P`."""
    mask_P = usable(points, predictor) if mask_P is None else mask_P
    x_P = points.predictors[predictor][mask_P] if mask_P.any() else np.empty(0)
    return _sample(points, predictor, x_P, mask_P)


def sample_of_all(points: Points, predictors: Sequence[str], mask_P: NDArray[np.bool_] | None = None) -> Sample:
    """The sample of one predictor or of two together, from the checkpoints that have all of them."""
    if mask_P is None:
        mask_P = np.logical_and.reduce([usable(points, one) for one in predictors])
    if len(predictors) == 1:
        return sample_of(points, predictors[0], mask_P)
    columns = [points.predictors[one][mask_P] if mask_P.any() else np.empty(0) for one in predictors]
    return _sample(points, " and ".join(predictors), np.stack(columns, axis=1), mask_P)


def _sample(points: Points, name: str, x_P: NDArray[np.float64], mask_P: NDArray[np.bool_]) -> Sample:
    names, run_P = np.unique(points.run[mask_P], return_inverse=True)
    return Sample(
        predictor=name,
        x_P=x_P.astype(np.float64),
        y_P=points.forgetting[mask_P].astype(np.float64),
        run_P=run_P,
        method_P=points.method[mask_P],
        seed_P=points.seed_P[mask_P],
        runs=len(names),
        dropped=len(points) - int(mask_P.sum()),
    )


def subset(sample: Sample, mask_P: NDArray[np.bool_]) -> Sample:
    """A part of a sample, with its runs numbered anew."""
    names, run_P = np.unique(sample.run_P[mask_P], return_inverse=True)
    return replace(
        sample,
        x_P=sample.x_P[mask_P],
        y_P=sample.y_P[mask_P],
        run_P=run_P,
        method_P=sample.method_P[mask_P],
        seed_P=sample.seed_P[mask_P],
        runs=len(names),
    )


def without_method(sample: Sample, method: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the checkpoints of all runs that never used a method, and of the method itself. Each (P,)."""
    of_method_P = sample.method_P == method
    used_R = sample.by_run(of_method_P.astype(float)) > 0
    return ~used_R[sample.run_P], of_method_P


def without_seed(sample: Sample, seed: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the checkpoints of all other seeds, and of one. Each (P,)."""
    return sample.seed_P != seed, sample.seed_P == seed


def check_enough(sample: Sample, distinct: int) -> None:
    """Refuse a sample that no curve can be fitted on.

    Raises:
        DataError: fewer than `distinct` different values, fewer than two runs, or a constant predictor.
    """
    if len(sample) > 1 and is_constant(sample.x_P):
        first = ", ".join(f"{one:.3g}" for one in np.ravel(sample.x_P[0]))
        raise DataError(
            f"{sample.predictor} is {first} at all {len(sample)} checkpoints, so forgetting cannot be "
            "fitted against it: give runs that moved by different amounts (other learning rates, more checkpoints)"
        )
    values = len(np.unique(sample.x_P, axis=0))
    if values < distinct or sample.runs < MIN_RUNS:
        unusable = f", and {sample.dropped} without a finite {sample.predictor} and forgetting" * bool(sample.dropped)
        raise DataError(
            f"the law needs at least {distinct} checkpoints of different {sample.predictor}, of {MIN_RUNS} runs; got "
            f"{values} of {sample.runs} run{'s' * (sample.runs != 1)}{unusable}: give more runs, or measure more "
            "checkpoints a run"
        )


def is_constant(x_P: NDArray[np.float64]) -> bool:
    """True if all values agree up to rounding; of two predictors, those of one."""
    return bool((np.ptp(x_P, axis=0) <= 1e-9 * np.abs(x_P).max(axis=0)).any())
