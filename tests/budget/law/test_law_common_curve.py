"""One curve for all methods, or not: shifted methods are found, others are not."""

import numpy as np
import pytest

from perdure.budget.errors import DataError
from perdure.budget.law.common_curve import CommonCurve, check_common_curve
from perdure.budget.law.points import Points
from tests.budget.law.synthetic import lives, plain_points


def off(found: CommonCurve) -> list[bool | None]:
    return [method.off for method in found.methods]


def test_methods_on_one_curve_are_left_on_it() -> None:
    found = [check_common_curve(lives([20] * 4, seed=seed)) for seed in range(10)]
    # each is wrong with a chance of 5 %, so that three or more of ten are with one of 1.2 %
    assert sum(c.one_curve is False for c in found) <= 2
    assert (found[0].methods[0].points, found[0].methods[0].runs) == (80, 20)
    assert found[0].r2_common == pytest.approx(found[0].r2_separate, abs=0.02)


def test_a_shifted_method_is_found_and_does_not_drag_the_others_off() -> None:
    found = check_common_curve(lives([20] * 5, [0.0, 0.06, 0.0, 0.0, 0.0]))
    assert off(found) == [False, True, False, False, False]
    assert found.one_curve is False
    shifted, other = found.methods[1], found.methods[0]
    assert shifted.offset.low < 0.06 < shifted.offset.high
    assert shifted.p_adjusted == pytest.approx(5 * shifted.p_value)  # Holm: the least of five
    assert other.against == ("m2", "m3", "m4")
    assert found.r2_separate > found.r2_common


def test_two_methods_off_in_two_ways() -> None:
    assert off(check_common_curve(lives([20] * 5, [0.06, 0.0, 0.0, -0.06, 0.0]))) == [True, False, False, True, False]


def test_of_two_that_differ_neither_is_the_common_one() -> None:
    found = check_common_curve(lives([20, 20], [0.0, 0.06]))
    assert off(found) == [True, True]
    first, second = found.methods
    assert first.offset.value == pytest.approx(-second.offset.value)
    assert (first.against, second.against) == (("m1",), ("m0",))


def test_the_unit_is_the_run() -> None:
    # two methods of four runs each, whose runs differ a great deal: 400 checkpoints must not make that a difference
    points = lives([4, 4], checkpoints=50, run_noise=0.1, noise=0.001, seed=3)
    by_run = check_common_curve(points)
    alone = Points(
        np.array([f"p{i}" for i in range(len(points))]),
        points.method,
        points.forgetting,
        points.accuracy,
        points.mass,
        points.base_mass,
        points.predictors,
    )
    assert by_run.one_curve is True
    assert check_common_curve(alone).one_curve is False


def test_a_method_alone_in_its_range_is_undecided() -> None:
    # m0 at KL below 1, m1 above 2: a step between them may be the curve's or the method's
    near, far = np.linspace(0.1, 1, 40), np.linspace(2, 4, 40)
    kl = np.concatenate([near, far])
    runs = [f"{i // 4}" for i in range(80)]
    points = plain_points(list(kl), list(0.1 * kl + 0.3 * (kl > 1.5)), runs, ["m0"] * 40 + ["m1"] * 40)
    found = check_common_curve(points)
    assert all(m.off in (None, False) for m in found.methods)


def test_one_method_or_one_run_cannot_be_tested() -> None:
    one = check_common_curve(lives([10]))
    assert (off(one), one.one_curve) == ([None], None)
    assert one.methods[0].offset.value is None
    single = check_common_curve(lives([1, 10]))
    assert off(single) == [None, None]
    with pytest.raises(DataError):
        check_common_curve(plain_points([0.1] * 6, [0.1] * 6))
    flat = check_common_curve(plain_points([0.1, 0.2, 0.3, 0.4, 0.5], [0.2] * 5))
    assert (flat.r2_common, flat.r2_separate) == (None, None)
    few = check_common_curve(plain_points([0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.3, 0.4]))
    assert few.r2_common is None
