"""Least squares from sums by run, computed once, so that a resample of runs is a weighted sum of them.

Axes: P points, F columns of a basis (the constant apart), R runs, B resamples of the runs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RELATIVE_RANK = 1e-10
"""Directions of the columns with a smaller share of the variance are dropped: a resample may lack a part of x."""

_NO_VARIANCE = 1e-20
_ROUNDS = 100
_CHANCES = 3


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the points of each of R runs, or of each of B resamples."""

    n_R: NDArray[np.float64]
    x_RF: NDArray[np.float64]
    y_R: NDArray[np.float64]
    xx_RFF: NDArray[np.float64]
    xy_RF: NDArray[np.float64]
    yy_R: NDArray[np.float64]

    def resampled(self, counts_BR: NDArray[np.float64]) -> "Moments":
        """The moments of resamples that contain run r `counts_BR[b, r]` times."""
        xx_BFF = np.tensordot(counts_BR, self.xx_RFF, axes=1)
        return Moments(
            counts_BR @ self.n_R,
            counts_BR @ self.x_RF,
            counts_BR @ self.y_R,
            xx_BFF,
            counts_BR @ self.xy_RF,
            counts_BR @ self.yy_R,
        )

    def total(self) -> "Moments":
        """The moments of all runs together, as one."""
        return self.resampled(np.ones((1, len(self.n_R))))


@dataclass(frozen=True, eq=False)
class Solution:
    """Least squares of each of B resamples, with residual and total sums of squares."""

    intercept_B: NDArray[np.float64]
    coefficients_BF: NDArray[np.float64]
    residual_B: NDArray[np.float64]
    total_B: NDArray[np.float64]

    def r2_B(self) -> NDArray[np.float64]:
        """1 - residual / total; NaN if forgetting is constant."""
        known_B = self.total_B > 0
        return np.where(known_B, 1 - self.residual_B / np.where(known_B, self.total_B, 1.0), np.nan)


def moments_of(
    columns_PF: NDArray[np.float64], y_P: NDArray[np.float64], run_P: NDArray[np.intp], runs: int
) -> Moments:
    """Sums by run.

    Raises:
        ValueError: shapes differ.
    """
    if not len(columns_PF) == len(y_P) == len(run_P):
        raise ValueError(f"{len(columns_PF)} rows, {len(y_P)} values and {len(run_P)} runs")
    features = columns_PF.shape[1]
    xx_PFF = columns_PF[:, :, None] * columns_PF[:, None, :]
    return Moments(
        n_R=np.bincount(run_P, minlength=runs).astype(np.float64),
        x_RF=_sums(columns_PF, run_P, runs),
        y_R=_sums(y_P[:, None], run_P, runs)[:, 0],
        xx_RFF=_sums(xx_PFF.reshape(len(y_P), -1), run_P, runs).reshape(runs, features, features),
        xy_RF=_sums(columns_PF * y_P[:, None], run_P, runs),
        yy_R=_sums(y_P[:, None] ** 2, run_P, runs)[:, 0],
    )


def solve(moments: Moments, *, non_negative: bool) -> Solution:
    """Least squares of (nearly) least norm with a free intercept, by centring; `non_negative`: coefficients ≥ 0."""
    x_BF, y_B = moments.x_RF / moments.n_R[:, None], moments.y_R / moments.n_R
    products_BFF = moments.xx_RFF - moments.n_R[:, None, None] * x_BF[:, :, None] * x_BF[:, None, :]
    cross_BF = moments.xy_RF - moments.n_R[:, None] * x_BF * y_B[:, None]
    total_B = moments.yy_R - moments.n_R * y_B**2
    total_B = np.where(total_B > _NO_VARIANCE + _RELATIVE_RANK * moments.yy_R, total_B, 0.0)
    coefficients_BF = non_negative_solution(products_BFF, cross_BF) if non_negative else _free(products_BFF, cross_BF)
    explained_B = 2 * (coefficients_BF * cross_BF).sum(1) - np.einsum(
        "bf,bfg,bg->b", coefficients_BF, products_BFF, coefficients_BF
    )
    residual_B = np.clip(total_B - explained_B, 0.0, total_B)
    return Solution(y_B - (coefficients_BF * x_BF).sum(1), coefficients_BF, residual_B, total_B)


def non_negative_solution(
    products_BFF: NDArray[np.float64], cross_BF: NDArray[np.float64], rounds: int = _ROUNDS
) -> NDArray[np.float64]:
    """The minimum of `c'Gc / 2 - h'c` over c ≥ 0 for a batch of G (B, F, F) and h (B, F). Shape (B, F).

    Block principal pivoting (Júdice and Pires 1994; for least squares Kim and Park 2011): all columns whose coefficient
    or gradient has the wrong sign change sides at once while that reduces their number, else only the last one. This
    needs a handful of batched solves, an active set one solve per column and item. Items that have not converged after
    `rounds` go to scipy's `nnls` (Lawson and Hanson 1974).
    """
    free = np.arange(products_BFF.shape[1])
    ridge_B = 1e-11 * np.maximum(products_BFF.max(axis=(1, 2)), 1e-300)
    products_BFF = products_BFF + ridge_B[:, None, None] * np.eye(len(free))
    inside_BF = cross_BF > 0
    coefficients_BF, open_B = np.zeros_like(cross_BF), np.arange(len(cross_BF))
    fewest_B, chances_B = np.full(len(cross_BF), len(free) + 1), np.full(len(cross_BF), _CHANCES)
    for _ in range(rounds):
        found_BF, wrong_BF = _pivot(products_BFF[open_B], cross_BF[open_B], inside_BF[open_B])
        coefficients_BF[open_B] = found_BF
        count_B = wrong_BF.sum(1)
        fewer_B = count_B < fewest_B[open_B]
        fewest_B[open_B] = np.where(fewer_B, count_B, fewest_B[open_B])
        chances_B[open_B] = np.where(fewer_B, _CHANCES, chances_B[open_B] - 1)
        last_BF = free == np.where(wrong_BF, free, -1).max(1)[:, None]
        inside_BF[open_B] ^= wrong_BF & ((chances_B[open_B] >= 0)[:, None] | last_BF)
        open_B = open_B[count_B > 0]
        if not len(open_B):
            break
    for item in open_B:
        coefficients_BF[item] = _nnls(products_BFF[item], cross_BF[item])
    return np.maximum(coefficients_BF, 0.0)


def _pivot(
    products_BFF: NDArray[np.float64], cross_BF: NDArray[np.float64], inside_BF: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The coefficients, zero outside `inside_BF`, and the mask of coefficients or gradients with the wrong sign."""
    both_BFF = inside_BF[:, :, None] & inside_BF[:, None, :]
    system_BFF = np.where(both_BFF, products_BFF, np.eye(products_BFF.shape[1]))
    found_BF = np.linalg.solve(system_BFF, np.where(inside_BF, cross_BF, 0.0)[:, :, None])[:, :, 0]
    found_BF = np.where(inside_BF, found_BF, 0.0)
    gradient_BF = np.einsum("bfg,bg->bf", products_BFF, found_BF) - cross_BF
    small_B = 1e-10 * np.abs(cross_BF).max(1, keepdims=True)
    size_B = 1e-10 * np.abs(found_BF).max(1, keepdims=True)
    return found_BF, np.where(inside_BF, found_BF < -size_B, gradient_BF < -small_B)


def _nnls(products_FF: NDArray[np.float64], cross_F: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.optimize import nnls

    root_FF = np.linalg.cholesky(products_FF)
    found: NDArray[np.float64] = nnls(root_FF.T, np.linalg.solve(root_FF, cross_F), maxiter=50 * len(cross_F))[0]
    return found


def _free(products_BFF: NDArray[np.float64], cross_BF: NDArray[np.float64]) -> NDArray[np.float64]:
    values_BF, vectors_BFF = np.linalg.eigh(products_BFF)
    kept_BF = values_BF > _RELATIVE_RANK * np.maximum(values_BF[:, -1:], 1e-300)
    along_BF = np.einsum("bfk,bf->bk", vectors_BFF, cross_BF)
    along_BF = np.where(kept_BF, along_BF / np.where(kept_BF, values_BF, 1.0), 0.0)
    found: NDArray[np.float64] = np.einsum("bfk,bk->bf", vectors_BFF, along_BF)
    return found


def _sums(values_PK: NDArray[np.float64], run_P: NDArray[np.intp], runs: int) -> NDArray[np.float64]:
    sums_RK = np.zeros((runs, values_PK.shape[1]))
    order_P = np.argsort(run_P, kind="stable")
    starts = np.flatnonzero(np.diff(run_P[order_P], prepend=-1))
    sums_RK[run_P[order_P[starts]]] = np.add.reduceat(values_PK[order_P], starts, axis=0)
    return sums_RK
