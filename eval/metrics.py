"""Metrics of a run from its retention matrix; pure functions of arrays.

`R` has shape (..., T + 1, T): `R[t, j - 1]` is the score on task j after stage t, row 0 is the base, NaN is "not
measured". `B` has shape (..., T + 1, M): the same for M benchmarks. Leading dimensions are batches (bootstrap
replicates). Libraries disagree on these definitions, so `FORMULAS` is printed beside the figures.

After t of T stages every metric is that of the first t + 1 rows and the first t tasks. A term with a figure that was
not measured is omitted from its mean; a metric without terms is `None` (NaN inside a batch).
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FORMULAS = {
    "average_accuracy": "mean_j R[T,j]",
    "backward_transfer": "mean_{j<T} (R[T,j] - R[j,j])",
    "forward_transfer": "mean_{j>1} (R[j-1,j] - R[0,j])",
    "forgetting": "mean_{j<T} (max_{j<=i<T} R[i,j] - R[T,j])",
    "benchmark_drop": "mean_b (B[0,b] - B[T,b])",
}
"""Backward transfer is negative where later stages spoil earlier tasks, forgetting where the last stage helped them."""

AT_ONCE = 2**16
"""Draws that are made at once, so few that they stay in a processor's cache."""


def all_metrics(R: ArrayLike, B: ArrayLike | None = None) -> dict[str, float | None]:
    """The metrics of `FORMULAS`, by name.

    Raises:
        ValueError: a matrix without two dimensions.
    """
    values = {name: _scalar(function(trim(_matrix(R)))) for name, (trim, function) in _TASK_METRICS.items()}
    for name, (trim, function) in _BENCHMARK_METRICS.items():
        values[name] = None if B is None else _scalar(function(trim(_matrix(B))))
    return values


@dataclass(frozen=True)
class MetricEstimate:
    """A metric with its bootstrap `stderr`, `low` and `high`; `None`: unknown."""

    value: float | None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None


def metrics_with_intervals(
    items: Mapping[tuple[int, int], ArrayLike],
    benchmarks: Mapping[tuple[int, int], ArrayLike] | None = None,
    *,
    in_part: Container[tuple[int, int]] = (),
    benchmarks_in_part: Container[tuple[int, int]] = (),
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, MetricEstimate]:
    """Every metric with a bootstrap interval over items.

    `items[t, j]` (t = 0..T, j = 1..T) holds the score of each item of task j after stage t, `benchmarks[t, b]`
    (b = 1..M) the same for benchmarks. The arrays of one column list the same items in the same order, NaN for an item
    that was not scored. Of those `in_part` some items were asked alone: such a score is that of row 0 and the mean
    change of its items. A replicate draws items of each column with replacement, the same draw for all rows, so that
    rows are paired; columns are drawn independently. Percentile intervals (Efron and Tibshirani 1993, chapter 13): they
    cover the choice of items, not of seeds. The maximum in `forgetting` biases its replicates slightly upwards.

    There is no interval if a column has a single item or all replicates are equal.

    Raises:
        ValueError: the arrays of one column differ in length.
    """
    generator = np.random.default_rng(seed)
    values: dict[str, float | None] = {}
    replicates: dict[str, Array | None] = {}
    for columns, parts, metrics in (
        (items, in_part, _TASK_METRICS),
        (benchmarks or {}, benchmarks_in_part, _BENCHMARK_METRICS),
    ):
        point, draws = _bootstrap(columns, parts, resamples, generator)
        for name, (trim, function) in metrics.items():
            values[name] = None if point is None else _scalar(function(trim(point)))
            replicates[name] = None if draws is None else function(_like(trim, point, draws))
    return {name: _estimate(values[name], replicates[name], level) for name in FORMULAS}


def _matrix(R: ArrayLike) -> Array:
    """`R` as floats, `None` as NaN."""
    matrix = np.array(R, dtype=float)
    if matrix.ndim != 2:
        raise ValueError(f"a retention matrix has two dimensions, not {matrix.ndim}")
    return matrix


def _last(R: Array) -> int:
    """The last row with a figure; -1 if there is none."""
    rows = np.flatnonzero(~np.isnan(R).all(axis=-1)) if R.shape[-1] else np.array([], dtype=int)
    return int(rows[-1]) if rows.size else -1


def _done(R: Array) -> Array:
    last = min(_last(R), R.shape[-1])
    return R[: last + 1, : max(last, 0)]


def _up_to_last(B: Array) -> Array:
    return B[: _last(B) + 1]


def _mean(terms: Array) -> Array:
    """Mean over the last axis of the terms that are not NaN; NaN if none is."""
    present = ~np.isnan(terms)
    count = present.sum(axis=-1)
    total = np.where(present, terms, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _average_accuracy(R: Array) -> Array:
    return _mean(R[..., -1, :]) if R.shape[-2] else np.array(np.nan)


def _learned(R: Array) -> Array:
    """R[j, j] for j = 1..T, shape (..., T)."""
    return np.diagonal(R[..., 1:, :], axis1=-2, axis2=-1)


def _backward_transfer(R: Array) -> Array:
    if R.shape[-1] < 2:
        return np.array(np.nan)
    return _mean((R[..., -1, :] - _learned(R))[..., :-1])


def _forward_transfer(R: Array) -> Array:
    if R.shape[-1] < 2:
        return np.array(np.nan)
    before = np.diagonal(R[..., :-1, :], axis1=-2, axis2=-1)
    return _mean((before - R[..., 0, :])[..., 1:])


def _forgetting(R: Array) -> Array:
    stages = R.shape[-1]
    if stages < 2:
        return np.array(np.nan)
    after_learning = np.arange(stages + 1)[:, None] >= np.arange(1, stages + 1)[None, :]
    seen = np.where(after_learning & ~np.isnan(R), R, -np.inf)[..., :-1, :-1]
    best = seen.max(axis=-2)
    return _mean(np.where(np.isinf(best), np.nan, best) - R[..., -1, :-1])


def _drops(B: Array) -> Array:
    """B[0] - B[last], shape (..., M); NaN if there is only the base."""
    return B[..., 0, :] - B[..., -1, :] if B.shape[-2] > 1 else np.full((*B.shape[:-2], B.shape[-1]), np.nan)


_Trim = Callable[[Array], Array]
_TASK_METRICS: dict[str, tuple[_Trim, Callable[[Array], Array]]] = {
    "average_accuracy": (_done, _average_accuracy),
    "backward_transfer": (_done, _backward_transfer),
    "forward_transfer": (_done, _forward_transfer),
    "forgetting": (_done, _forgetting),
}
_BENCHMARK_METRICS: dict[str, tuple[_Trim, Callable[[Array], Array]]] = {
    "benchmark_drop": (_up_to_last, lambda B: _mean(_drops(B))),
}


def _like(trim: _Trim, point: Array | None, draws: Array) -> Array:
    """The replicates cut to the shape that `trim` gives the point estimate."""
    rows, columns = trim(point).shape if point is not None else (0, 0)
    return draws[:, :rows, :columns]


def _bootstrap(
    columns: Mapping[tuple[int, int], ArrayLike],
    in_part: Container[tuple[int, int]],
    resamples: int,
    generator: np.random.Generator,
) -> tuple[Array | None, Array | None]:
    """The matrix of means (rows, columns) and its replicates (resamples, rows, columns; `None`: too few items)."""
    if not columns:
        return None, None
    rows, width = max(t for t, _ in columns) + 1, max(j for _, j in columns)
    rows = max(rows, width + 1)
    point = np.full((rows, width), np.nan)
    draws_JRT = np.full((width, resamples, rows), np.nan)
    enough = True
    for j in range(1, width + 1):
        scores = {t: np.asarray(values, dtype=float) for (t, column), values in columns.items() if column == j}
        sizes = {len(values) for values in scores.values()}
        if len(sizes) > 1:
            raise ValueError(f"column {j} must list the same items in every row; got lengths {sorted(sizes)}")
        n = next(iter(sizes), 0)
        enough = enough and n != 1
        if n == 0:
            continue
        stages, partly = sorted(scores), [t for t in sorted(scores) if (t, j) in in_part]
        values_IT = np.stack([scores[t] - scores[0] if t in partly else scores[t] for t in stages], axis=1)
        present_IT = ~np.isnan(values_IT)
        known_IT = np.where(present_IT, values_IT, 0.0)
        with np.errstate(invalid="ignore"):
            point[stages, j - 1] = known_IT.sum(axis=0) / present_IT.sum(axis=0)
            for replicates_PT in np.array_split(draws_JRT[j - 1], -(-resamples * n // AT_ONCE)):
                times_PI = _drawn(n, len(replicates_PT), generator)
                count_PT = n if present_IT.all() else times_PI @ present_IT
                replicates_PT[:, stages] = (times_PI @ known_IT) / count_PT
        if partly:
            point[partly, j - 1] += point[0, j - 1]
            draws_JRT[j - 1][:, partly] += draws_JRT[j - 1][:, :1]
    return point, np.moveaxis(draws_JRT, 0, -1) if enough else None


def _drawn(n: int, resamples: int, generator: np.random.Generator) -> Array:
    """How often each replicate draws each of n items, (resamples, n)."""
    drawn = generator.integers(n, size=(resamples, n)) + n * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n).astype(float)


def _scalar(value: Array | float) -> float | None:
    number = float(value)
    return None if np.isnan(number) else number


def _estimate(value: float | None, replicates: Array | None, level: float) -> MetricEstimate:
    if value is None or replicates is None:
        return MetricEstimate(value)
    known = replicates[~np.isnan(replicates)] if replicates.ndim else np.array([])
    if known.size < 2 or np.ptp(known) < 1e-12:
        return MetricEstimate(value)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return MetricEstimate(value, float(known.std(ddof=1)), float(low), float(high))
