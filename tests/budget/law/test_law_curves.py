"""The curves against truths known beforehand, and the batched solver against scipy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from perdure.budget.errors import DataError
from perdure.budget.law.curves import CURVES, FALLING, Powers, Ramps, can_fit, curve_kind, fit_curve, ramp_basis
from perdure.budget.law.moments import moments_of, non_negative_solution, solve


def test_an_exact_quadratic_is_found() -> None:
    x = np.linspace(0.1, 9, 40)
    curve = fit_curve("quadratic", x, 0.1 + 0.2 * x - 0.01 * x**2)
    assert curve.powers() == pytest.approx((0.1, 0.2, -0.01))
    # the vertex of a + b x + c x² is at -b / 2c = 0.2 / 0.02
    assert curve.turns_at() == pytest.approx(10)
    assert curve.predict(np.array([0.0, 20.0])) == pytest.approx([0.1, 0.1 + 4 - 4])


def test_a_line_by_hand() -> None:
    # means 2 and 3; y deviates by -2, 1, 0, -1, 2, so Sxy = 4 - 1 + 0 - 1 + 4 = 6, Sxx = 10: slope 0.6, at zero 3 - 1.2
    curve = fit_curve("line", np.arange(5.0), np.array([1.0, 4, 3, 2, 5]))
    assert curve.powers() == pytest.approx((1.8, 0.6))
    assert curve.turns_at() is None
    assert fit_curve("quadratic", np.arange(5.0), np.arange(5.0) ** 2).turns_at() is None


def test_the_monotone_curve_on_four_points_by_hand() -> None:
    x = np.arange(4.0)
    # falling data: the best curve that never falls is their mean
    falling = fit_curve("monotone", x, np.array([3.0, 2, 1, 0]))
    assert falling.predict(x) == pytest.approx([1.5] * 4)
    # four points allow one segment, so rising data give the least-squares line, flat beyond its ends
    rising = fit_curve("monotone", x, np.array([1.0, 1, 3, 3]))  # Sxy = -1.5*-1 + -.5*-1 + .5 + 1.5 = 4, Sxx = 5
    assert rising.predict(x) == pytest.approx([0.8, 1.6, 2.4, 3.2])
    assert rising.predict(np.array([-5.0, 50.0])) == pytest.approx([0.8, 3.2])
    assert rising.knots() == ((0.0, 3.0), pytest.approx((0.8, 3.2)))


def test_a_curve_straight_between_its_own_knots_is_found_exactly() -> None:
    x = np.linspace(0, 1, 91)
    knots = ramp_basis(x).knots
    assert np.all(np.diff(knots) > 0)
    heights = np.sqrt(np.array(knots))
    curve = fit_curve("monotone", x, np.interp(x, knots, heights))
    assert curve.knots()[1] == pytest.approx(heights, abs=1e-6)
    down = fit_curve(FALLING, x, np.interp(x, knots, 1 - heights))
    assert down.knots()[1] == pytest.approx(1 - heights, abs=1e-6)
    assert fit_curve(FALLING, x, x).predict(x) == pytest.approx(np.full(91, 0.5))


def test_knots_leave_five_points_a_segment_and_reach_into_a_thin_tail() -> None:
    x = np.exp(np.random.default_rng(0).uniform(-7, 2, 400))
    knots = np.array(ramp_basis(x).knots)
    counts = np.histogram(x, knots)[0]
    assert counts.min() >= 5
    assert (knots[0], knots[-1]) == (x.min(), x.max())
    assert (knots > 3).sum() >= 3  # an eighth of the points, three quarters of the range
    # six points lie at 1 and six above, so that one knot between leaves five on either side: the first ninth, 1 + 3/9
    assert ramp_basis(np.array([1.0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4])).knots == pytest.approx((1.0, 4 / 3, 4.0))


def test_a_predictor_of_any_size_is_fitted_as_well() -> None:
    x = np.linspace(1, 3, 30)
    y = x**2
    for scale in (1e-9, 1.0, 1e9):
        for kind in CURVES:
            fitted = fit_curve(kind, x * scale, y).predict(x * scale)
            assert fitted == pytest.approx(fit_curve(kind, x, y).predict(x), abs=1e-6)


def test_too_little_for_a_curve() -> None:
    with pytest.raises(DataError, match="a quadratic curve needs at least 4 different values, got 3"):
        fit_curve("quadratic", np.array([1.0, 2, 3, 3]), np.zeros(4))
    with pytest.raises(DataError):
        fit_curve("line", np.full(9, 0.5), np.arange(9.0))
    assert not can_fit("line", np.empty(0))
    with pytest.raises(ValueError, match="shape"):
        fit_curve("line", np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="finite"):
        fit_curve("line", np.array([1.0, 2, np.nan]), np.zeros(3))
    with pytest.raises(ValueError, match="no curve is called 'cubic'; there are quadratic"):
        curve_kind("cubic")
    line = fit_curve("line", np.arange(4.0), np.arange(4.0))
    with pytest.raises(ValueError, match="no knots"):
        line.knots()
    with pytest.raises(ValueError, match="not a polynomial"):
        fit_curve("monotone", np.arange(4.0), np.arange(4.0)).powers()
    with pytest.raises(ValueError, match="shape"):
        line.predict(np.zeros((2, 2)))


def test_moments_of_runs_add_up_to_the_fit_of_all_points() -> None:
    rng = np.random.default_rng(1)
    x, y, run = rng.normal(size=60), rng.normal(size=60), rng.integers(0, 7, 60)
    columns = Powers(0.0, 1.0, 2).columns(x)
    by_run = moments_of(columns, y, run, 7)
    solution = solve(by_run.total(), non_negative=False)
    design = np.column_stack([np.ones(60), columns])
    direct, residual, *_ = np.linalg.lstsq(design, y, rcond=None)
    assert [solution.intercept_B[0], *solution.coefficients_BF[0]] == pytest.approx(direct.tolist())
    assert solution.residual_B[0] == pytest.approx(float(residual[0]))
    assert solution.r2_B()[0] == pytest.approx(1 - residual[0] / ((y - y.mean()) ** 2).sum())


def test_a_resample_is_the_fit_on_its_points() -> None:
    rng = np.random.default_rng(2)
    x, y, run = rng.normal(size=60), rng.normal(size=60), np.repeat(np.arange(6), 10)
    counts = np.array([[2.0, 0, 1, 1, 2, 0]])
    columns = Powers(0.0, 1.0, 2).columns(x)
    solution = solve(moments_of(columns, y, run, 6).resampled(counts), non_negative=False)
    drawn = np.repeat(np.arange(60), counts[0][run].astype(int))
    direct = np.polyfit(x[drawn], y[drawn], 2)[::-1]
    assert [solution.intercept_B[0], *solution.coefficients_BF[0]] == pytest.approx(direct.tolist())


def test_moments_refuse_other_shapes() -> None:
    with pytest.raises(ValueError, match="2 rows, 3 values and 2 runs"):
        moments_of(np.zeros((2, 1)), np.zeros(3), np.zeros(2, dtype=np.intp), 1)


def test_nothing_to_explain_has_no_r2() -> None:
    flat = solve(
        moments_of(np.arange(4.0)[:, None], np.full(4, 0.3), np.zeros(4, dtype=np.intp), 1), non_negative=False
    )
    assert np.isnan(flat.r2_B()).all()
    assert isinstance(flat.intercept_B, np.ndarray)
    assert flat.intercept_B[0] == pytest.approx(0.3)


@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([3, 12, 40]))
def test_the_batched_solver_agrees_with_scipys(seed: int, columns: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    matrices = rng.normal(size=(3, rows, columns)) @ np.diag(rng.uniform(0.1, 3, columns))
    targets = rng.normal(size=(3, rows))
    products, cross = matrices.swapaxes(1, 2) @ matrices, np.einsum("brf,br->bf", matrices, targets)
    for rounds in (100, 0):  # by pivoting, and by the fall-back for what pivoting does not settle
        found = non_negative_solution(products, cross, rounds)
        assert (found >= 0).all()
        for matrix, target, own in zip(matrices, targets, found, strict=True):
            _, least = nnls(matrix, target)
            assert np.linalg.norm(matrix @ own - target) == pytest.approx(least, abs=1e-4)


@given(
    st.lists(st.tuples(st.floats(0, 5, width=32), st.floats(-1, 1, width=32)), min_size=5, max_size=40),
    st.sampled_from(list(CURVES)),
)
def test_r2_in_sample_lies_between_zero_and_one(pairs: list[tuple[float, float]], kind: str) -> None:
    x, y = np.array([p[0] for p in pairs], dtype=float), np.array([p[1] for p in pairs], dtype=float)
    if not can_fit(kind, x):
        return
    curve = fit_curve(kind, x, y)
    total = ((y - y.mean()) ** 2).sum()
    residual = ((y - curve.predict(x)) ** 2).sum()
    assert residual <= total * (1 + 1e-6) + 1e-9
    if isinstance(curve.basis, Ramps):
        assert np.all(np.diff(curve.predict(np.linspace(-1, 6, 50))) >= -1e-12)


def test_a_monotone_curve_of_two_predictors_is_the_sum_of_two() -> None:
    # 0.1 a + 0.3 b on a grid, and a third of it that falls with b, which a rising curve cannot follow
    a, b = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 1, 12), np.linspace(0, 2, 12)))
    curve = fit_curve("monotone", np.stack([a, b], axis=1), 0.02 + 0.1 * a + 0.3 * b)
    assert curve.predict(np.array([[0.5, 1.0], [0.0, 0.0]])) == pytest.approx([0.02 + 0.05 + 0.3, 0.02], abs=1e-6)
    first, second = curve.parts()
    assert first.predict(np.array([0.5])) == pytest.approx([0.02 + 0.05], abs=1e-6)
    assert second.predict(np.array([1.0])) == pytest.approx([0.3], abs=1e-6)
    with pytest.raises(ValueError, match=r"of two predictors \(P, 2\); got \(3,\)"):
        curve.predict(np.zeros(3))
    falling = fit_curve("monotone", np.stack([a, b], axis=1), a - b)
    assert falling.parts()[1].coefficients == pytest.approx([0.0] * len(falling.parts()[1].coefficients))


def test_two_predictors_of_which_one_is_constant_have_no_curve() -> None:
    x = np.stack([np.arange(9.0), np.ones(9)], axis=1)
    assert not can_fit("monotone", x)
