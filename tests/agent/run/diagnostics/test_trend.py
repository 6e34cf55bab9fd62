"""The trend of a curve: the slope of its last half, by hand."""

import math

import pytest

from perdure.agent.run.diagnostics.trend import last_slope


def test_a_straight_line_has_its_slope_and_no_error() -> None:
    # the last 16 of 32, in blocks of 2: each block is 2 steps, so 0.2 lower than the one before
    assert last_slope([5 - 0.1 * step for step in range(32)]) == pytest.approx((-0.2, -0.2))


def test_the_interval_is_students() -> None:
    # blocks +1 -1 -1 +1 +1 -1 -1 +1: no slope; the residuals' squares sum to 8, and those of the places to 42,
    # so the error is sqrt(8 / 6 / 42), and t of 6 degrees at 97.5 % is 2.4469
    half = [value for value in (1, -1, -1, 1, 1, -1, -1, 1) for _ in range(2)]
    reach = 2.4469 * math.sqrt(8 / 6 / 42)
    assert last_slope([9.0] * 16 + half) == pytest.approx((-reach, reach), abs=1e-4)


@pytest.mark.parametrize("values", [[1.0] * 30, [], [1.0] * 40 + [math.nan]])
def test_too_few_values_or_one_that_is_no_number_have_no_slope(values: list[float]) -> None:
    assert last_slope(values) is None


def test_the_first_half_does_not_count() -> None:
    assert last_slope([9.0 - step for step in range(16)] + [1.0] * 16) == (0.0, 0.0)
