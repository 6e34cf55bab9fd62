"""A test of each method: does its forgetting lie off the curve of the other methods?

For each method the model `forgetting = curve(KL) + offset · [this method]` is tested against no offset. As the null
demands, the curve is fitted on the method *and* the others; a curve without the method, treated as known, would find
too many methods off. The part of the method's indicator that the curve explains is removed first (Frisch and Waugh
1933), so a method alone in its range of KL stays undecided: it may bend the curve or leave it.

The unit is the run. Its part of the efficient score, the sum over its checkpoints of (cleaned indicator) times
(residual of the common curve), has mean zero under the null. The p-value comes from flipping the signs of the runs:
a score (wild cluster) bootstrap with the null imposed, Kline and Santos 2012 (J. Econometric Methods 1:23), adjusted by
Holm across methods.

A method far off pulls the curve and makes others look off. So the farthest significant one leaves the common curve and
the rest are tested again, while at least three remain: of two that differ neither is the one that is off.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.curves import can_fit, curve_kind, fit_curve
from perdure.budget.law.points import FORWARD_KL, Points
from perdure.budget.law.resample import LEVEL, UNKNOWN, Interval, folds
from perdure.budget.law.sample import Sample, check_enough, sample_of
from perdure.budget.significance import holm, sign_flip, student

_MIN_UNEXPLAINED = 0.01
"""A method is alone in its range of KL if the curve explains all but less than this share of its indicator."""

_RESAMPLES, _FEW_RESAMPLES = 10_000, 1_000


@dataclass(frozen=True)
class MethodOffset:
    """A method's distance above the curve of the others, as a fraction of forgetting.

    The interval is Student's, with a standard error clustered by run and the runs of the smaller side less one as
    degrees of freedom. All is `None` below two runs on either side, or if the method is alone in its range of KL.
    `off`: the adjusted p-value is below 1 - level. `against`: the methods of the curve it was compared with.
    """

    method: str
    offset: Interval
    p_value: float | None
    p_adjusted: float | None
    off: bool | None
    against: tuple[str, ...]
    points: int
    runs: int


@dataclass(frozen=True)
class CommonCurve:
    """The test of every method, and the R² on held-out runs of one curve for all and of one curve for each method.

    `one_curve` is `None` if no method could be tested. `r2_separate` uses the common curve for a method with too few
    checkpoints for its own.
    """

    methods: tuple[MethodOffset, ...]
    one_curve: bool | None
    r2_common: float | None
    r2_separate: float | None


@dataclass(frozen=True)
class _Test:
    offset: Interval
    p_value: float | None


def check_common_curve(
    points: Points, kind: str = "monotone", *, predictor: str = FORWARD_KL, level: float = LEVEL, seed: int = 0
) -> CommonCurve:
    """Test every method against the common curve.

    Raises:
        DataError: too few checkpoints or runs, or a predictor that is the same everywhere.
    """
    sample = sample_of(points, predictor)
    check_enough(sample, curve_kind(kind).fewest)
    common = _common_methods(sample, kind, level, seed)
    tests = {method: _test_method(sample, kind, method, common, level, seed) for method in sample.methods}
    adjusted = holm([test.p_value for test in tests.values()])
    methods = tuple(
        MethodOffset(
            method=method,
            offset=test.offset,
            p_value=test.p_value,
            p_adjusted=p,
            off=None if p is None else p < 1 - level,
            against=tuple(name for name in common if name != method),
            points=int((sample.method_P == method).sum()),
            runs=len(np.unique(sample.run_P[sample.method_P == method])),
        )
        for (method, test), p in zip(tests.items(), adjusted, strict=True)
    )
    decided = [m.off for m in methods if m.off is not None]
    r2_common, r2_separate = _held_out(sample, kind, seed)
    return CommonCurve(methods, None if not decided else not any(decided), r2_common, r2_separate)


def _common_methods(sample: Sample, kind: str, level: float, seed: int) -> tuple[str, ...]:
    """The methods of the common curve: all, less those found farthest off it one by one."""
    common = sample.methods
    while len(common) > 2:
        tests = [_test_method(sample, kind, method, common, level, seed, resamples=_FEW_RESAMPLES) for method in common]
        adjusted = holm([test.p_value for test in tests])
        off = [
            (abs(test.offset.value or 0.0), method)
            for method, test, p in zip(common, tests, adjusted, strict=True)
            if p is not None and p < 1 - level
        ]
        if not off:
            break
        common = tuple(method for method in common if method != max(off)[1])
    return common


def _test_method(
    sample: Sample,
    kind: str,
    method: str,
    common: tuple[str, ...],
    level: float,
    seed: int,
    *,
    resamples: int = _RESAMPLES,
) -> _Test:
    """Test one method against the curve of the common ones and itself."""
    chosen_P = np.isin(sample.method_P, [*common, method])
    x_P, y_P, run_P = sample.x_P[chosen_P], sample.y_P[chosen_P], sample.run_P[chosen_P]
    of_method_P = sample.method_P[chosen_P] == method
    fewer = min(len(np.unique(run_P[of_method_P])), len(np.unique(run_P[~of_method_P])))
    if fewer < 2 or not can_fit(kind, x_P):
        return _Test(UNKNOWN, None)
    curve = fit_curve(kind, x_P, y_P)
    bent_PF = curve.basis.columns(x_P)[:, np.array(curve.coefficients) != 0]
    cleaned_P = _without(of_method_P.astype(float), np.column_stack([np.ones(len(x_P)), bent_PF]))
    size = float(cleaned_P @ cleaned_P)
    if size < _MIN_UNEXPLAINED * of_method_P.sum():
        return _Test(UNKNOWN, None)
    residual_P = y_P - curve.predict(x_P)
    offset = float(cleaned_P @ residual_P) / size
    p_value = sign_flip(_run_sums(cleaned_P * residual_P, run_P), seed=seed, resamples=resamples)
    scores_R = _run_sums(cleaned_P * (residual_P - offset * cleaned_P), run_P)
    stderr = float(np.sqrt((scores_R**2).sum() * len(scores_R) / (len(scores_R) - 1))) / size
    return _Test(Interval(offset, *student(offset, stderr, fewer - 1, level)), p_value)


def _without(values_P: NDArray[np.float64], columns_PF: NDArray[np.float64]) -> NDArray[np.float64]:
    found, *_ = np.linalg.lstsq(columns_PF, values_P, rcond=None)
    rest_P: NDArray[np.float64] = values_P - columns_PF @ found
    return rest_P


def _run_sums(values_P: NDArray[np.float64], run_P: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sums by run, of the runs that occur."""
    _, number_P = np.unique(run_P, return_inverse=True)
    sums_R: NDArray[np.float64] = np.bincount(number_P, values_P).astype(np.float64)
    return sums_R


def _held_out(sample: Sample, kind: str, seed: int) -> tuple[float | None, float | None]:
    """R² on held-out runs of the common curve, and of one curve per method."""
    fold_P = folds(sample.runs, seed)[sample.run_P]
    common_P, separate_P = np.full(len(sample), np.nan), np.full(len(sample), np.nan)
    for fold in np.unique(fold_P):
        train_P, test_P = fold_P != fold, fold_P == fold
        if not can_fit(kind, sample.x_P[train_P]):
            return None, None
        common_P[test_P] = fit_curve(kind, sample.x_P[train_P], sample.y_P[train_P]).predict(sample.x_P[test_P])
        separate_P[test_P] = common_P[test_P]
        for method in sample.methods:
            fit_P, held_P = train_P & (sample.method_P == method), test_P & (sample.method_P == method)
            if can_fit(kind, sample.x_P[fit_P]):
                separate_P[held_P] = fit_curve(kind, sample.x_P[fit_P], sample.y_P[fit_P]).predict(sample.x_P[held_P])
    total = float(((sample.y_P - sample.y_P.mean()) ** 2).sum())
    if total <= 0:
        return None, None
    common, separate = (1 - float(((sample.y_P - p_P) ** 2).sum()) / total for p_P in (common_P, separate_P))
    return common, separate
