"""Curves of forgetting against a predictor: the paper's quadratic, a straight line, and a monotone one.

All three are linear in a basis, so that one routine fits them, on the points or on resamples of runs.

The monotone curve is a sum of ramps with slopes ≥ 0: I-splines of the first order (Ramsay 1988, "Monotone regression
splines in action"). Isotonic regression would be a step function with jumps that the next run need not have, and would
cost a pass over all points for every resample. Unlike a smoother spline, this curve is given by its knots alone, which
is all that a saved law stores. Beyond its knots it is flat, where a quadratic may fall. With two predictors it is the
sum of two such curves, fitted together (an additive model, Hastie and Tibshirani 1986).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError
from perdure.budget.law.moments import Moments, Solution, moments_of, solve
from perdure.budget.law.sample import is_constant

_INNER_KNOTS = 8
_POINTS_A_SEGMENT = 5


@dataclass(frozen=True)
class Powers:
    """Powers 1 … `degree` of x, centred and scaled so that their products are well conditioned."""

    centre: float
    scale: float
    degree: int
    one_way = False

    def columns(self, x_P: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (P, degree)."""
        z_P = (x_P - self.centre) / self.scale
        powers_PF: NDArray[np.float64] = np.stack([z_P**power for power in range(1, self.degree + 1)], axis=1)
        return powers_PF


@dataclass(frozen=True)
class Ramps:
    """One ramp per segment between two knots: 0 before it, 1 after it, linear within; 1 minus that if `falls`."""

    knots: tuple[float, ...]
    falls: bool = False
    one_way = True

    def columns(self, x_P: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (P, segments)."""
        knots_K = np.array(self.knots)
        ramps_PF: NDArray[np.float64] = np.clip((x_P[:, None] - knots_K[:-1]) / np.diff(knots_K), 0.0, 1.0)
        return 1 - ramps_PF if self.falls else ramps_PF


@dataclass(frozen=True)
class AddedRamps:
    """The ramps of two predictors side by side, for values of shape (P, 2)."""

    parts: tuple[Ramps, Ramps]
    one_way = True

    def columns(self, x_P2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (P, segments of both)."""
        return np.concatenate([part.columns(x_P) for part, x_P in zip(self.parts, x_P2.T, strict=True)], axis=1)


Basis = Powers | Ramps | AddedRamps


@dataclass(frozen=True)
class Curve:
    """A fitted curve: intercept + columns(x) · coefficients."""

    kind: str
    basis: Basis
    intercept: float
    coefficients: tuple[float, ...]

    def predict(self, kl_P: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forgetting at each value of the predictor, as a fraction. Shape (P,).

        Raises:
            ValueError: not of shape (P,), or (P, 2) of a curve of two predictors.
        """
        if kl_P.shape[1:] != ((2,) if isinstance(self.basis, AddedRamps) else ()) or kl_P.ndim == 0:
            raise ValueError(f"a curve needs values of shape (P,), of two predictors (P, 2); got {kl_P.shape}")
        predicted_P: NDArray[np.float64] = self.intercept + self.basis.columns(kl_P) @ np.array(self.coefficients)
        return predicted_P

    def powers(self) -> tuple[float, ...]:
        """Coefficients of 1, x, x² … of a straight line or a quadratic.

        Raises:
            ValueError: the curve is not a polynomial.
        """
        if not isinstance(self.basis, Powers):
            raise ValueError(f"a {self.kind} curve is not a polynomial")
        inner = np.polynomial.Polynomial([-self.basis.centre / self.basis.scale, 1 / self.basis.scale])
        return tuple(float(c) for c in np.polynomial.Polynomial([self.intercept, *self.coefficients])(inner).coef)

    def turns_at(self) -> float | None:
        """The maximum of a quadratic that rises and then falls; `None` for any other curve."""
        if not isinstance(self.basis, Powers) or self.basis.degree != 2 or self.coefficients[1] >= 0:
            return None
        return self.basis.centre - self.basis.scale * self.coefficients[0] / (2 * self.coefficients[1])

    def knots(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The x and the forgetting of the points between which the curve is linear.

        Raises:
            ValueError: the curve is not piecewise linear.
        """
        if not isinstance(self.basis, Ramps):
            raise ValueError(f"a {self.kind} curve of this basis has no knots of its own")
        return self.basis.knots, tuple(float(height) for height in self.predict(np.array(self.basis.knots)))

    def parts(self) -> tuple["Curve", ...]:
        """The curves of each predictor, whose sum this is; the intercept belongs to the first."""
        if not isinstance(self.basis, AddedRamps):
            return (self,)
        first, second = self.basis.parts
        split = len(first.knots) - 1
        return (
            Curve(self.kind, first, self.intercept, self.coefficients[:split]),
            Curve(self.kind, second, 0.0, self.coefficients[split:]),
        )


@dataclass(frozen=True)
class CurveKind:
    """One kind of curve: the basis for given values, and the fewest different values it is fitted on.

    The fewest is one more than the free coefficients of the smallest curve of the kind, so that no fit is perfect by
    construction.
    """

    basis: Callable[[NDArray[np.float64]], Basis]
    fewest: int


def powers_basis(x_P: NDArray[np.float64], degree: int) -> Powers:
    """Powers of the values, centred and scaled by their deviation."""
    return Powers(float(x_P.mean()), float(x_P.std()) or 1.0, degree)


def ramp_basis(x_P: NDArray[np.float64]) -> Ramps:
    """Knots at the ends, at the ninths of the points and at the ninths of the range.

    The latter keep a long thin tail of large KL from being one straight line. Knots that would leave fewer than five
    points in a segment are omitted.
    """
    ninths = np.arange(1, _INNER_KNOTS + 1) / (_INNER_KNOTS + 1)
    low, high = float(x_P.min()), float(x_P.max())
    candidates = np.sort(np.concatenate([np.quantile(x_P, ninths), low + (high - low) * ninths]))
    ordered_P = np.sort(x_P)
    kept, below = [low], 0
    for knot in candidates:
        rank = int(np.searchsorted(ordered_P, knot, side="right"))
        if rank - below >= _POINTS_A_SEGMENT and len(x_P) - rank >= _POINTS_A_SEGMENT and kept[-1] < knot < high:
            kept.append(float(knot))
            below = rank
    return Ramps((*kept, high))


def monotone_basis(x_P: NDArray[np.float64]) -> Ramps | AddedRamps:
    """Ramps for values of shape (P,); of two predictors, (P, 2), the ramps of each."""
    if x_P.ndim == 1:
        return ramp_basis(x_P)
    return AddedRamps((ramp_basis(x_P[:, 0]), ramp_basis(x_P[:, 1])))


CURVES: Mapping[str, CurveKind] = {
    "quadratic": CurveKind(partial(powers_basis, degree=2), 4),
    "monotone": CurveKind(monotone_basis, 4),
    "line": CurveKind(partial(powers_basis, degree=1), 3),
}
"""The curves of the law: `a + b·KL + c·KL²` (the paper's), linear between knots and never falling, `a + b·KL`."""

FALLING = "falling"
"""The monotone curve that never rises, for a predictor that is large if little changed."""

_ALL = {**CURVES, FALLING: CurveKind(lambda x_P: replace(ramp_basis(x_P), falls=True), 4)}


def curve_kind(name: str) -> CurveKind:
    """The kind of curve of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in _ALL:
        raise ValueError(f"no curve is called {name!r}; there are {', '.join(_ALL)}")
    return _ALL[name]


def fit_curve(kind: str, x_P: NDArray[np.float64], y_P: NDArray[np.float64]) -> Curve:
    """Least squares on points of equal weight. A monotone curve may have two predictors, `x_P` of shape (P, 2).

    Raises:
        ValueError: shapes differ or are not (P,), or a value is not finite.
        DataError: too few different values, or one value everywhere.
    """
    two = kind == "monotone" and x_P.shape[1:] == (2,)
    if x_P.shape[: len(x_P.shape) - two] != y_P.shape or y_P.ndim != 1:
        raise ValueError(f"a curve is fitted on two arrays of shape (P,), got {x_P.shape} and {y_P.shape}")
    if not (np.isfinite(x_P).all() and np.isfinite(y_P).all()):
        raise ValueError("a curve is fitted on finite values")
    if not can_fit(kind, x_P):
        raise DataError(
            f"a {kind} curve needs at least {curve_kind(kind).fewest} different values, got "
            f"{len(np.unique(x_P, axis=0))}"
        )
    basis = curve_kind(kind).basis(x_P)
    moments = run_moments(basis, x_P, y_P, np.zeros(len(x_P), dtype=np.intp), 1)
    return curve_of(kind, basis, solve(moments, non_negative=basis.one_way), offset=float(y_P.mean()))


def can_fit(kind: str, x_P: NDArray[np.float64]) -> bool:
    """True if there are enough different values for a curve of this kind."""
    return len(x_P) > 0 and len(np.unique(x_P, axis=0)) >= curve_kind(kind).fewest and not is_constant(x_P)


def curve_of(kind: str, basis: Basis, solution: Solution, *, offset: float) -> Curve:
    """The curve of the first solution of a batch; `offset` was subtracted from the forgetting before the fit."""
    coefficients = tuple(float(c) for c in solution.coefficients_BF[0])
    return Curve(kind, basis, offset + float(solution.intercept_B[0]), coefficients)


def run_moments(
    basis: Basis, x_P: NDArray[np.float64], y_P: NDArray[np.float64], run_P: NDArray[np.intp], runs: int
) -> Moments:
    """The moments of each run in a basis, about the mean forgetting, which keeps the sums of squares exact."""
    return moments_of(basis.columns(x_P), y_P - y_P.mean(), run_P, runs)
