"""The search for the last point of a line within the cap."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure.agent.enforcement.projection import MOST_READINGS, LinePoint, crossing, halfway, last_within
from perdure.budget.estimate import Estimate
from perdure.budget.monitor import Reading


def reading(kl: float, cap: float = 1.0) -> Reading:
    one = Estimate(kl, 0.0, 2)
    return Reading(0, one, one, one, one, one, cap, "token", kl)


def logarithm(low: float, high: float) -> st.SearchStrategy[float]:
    """Ten to a power between these."""
    return st.floats(low, high).map(lambda power: 10.0**power)


def test_the_first_point_is_the_root_of_the_cap_over_the_kl() -> None:
    # KL = (1000 s)²: the goal of 0.995 lies at sqrt(0.995) / 1000, and the first reading finds it
    share, found, readings = last_within(lambda share: reading(1e6 * share**2), reading(0.0), reading(1e6))
    assert (share, readings) == (pytest.approx(math.sqrt(0.995) / 1000), 1)
    assert found.upper_bound == pytest.approx(0.995)


def test_the_second_point_is_that_of_the_power_that_two_tell() -> None:
    # KL = 81 s⁴ and a goal of 1: the square gives 1/9, where it is 81/6561 = 1/81; between that and 81 at the end the
    # logarithms have a slope of ln(6561)/ln(9) = 4, and a rise of 1 lies at 1/3
    low, high = LinePoint(1 / 9, 1 / 81), LinePoint(1.0, 81.0)
    assert crossing(LinePoint(0, 0), high, None, 1.0) == pytest.approx(1 / 9)
    assert crossing(low, high, None, 1.0) == pytest.approx(1 / 3)
    # KL = 81 s: beyond at 1/9 (9), and of the two points beyond the slope is 1: 1/81
    assert crossing(LinePoint(0, 0), LinePoint(1 / 9, 9.0), high, 1.0) == pytest.approx(1 / 81)


def test_where_no_power_can_be_told_the_bracket_is_halved() -> None:
    assert crossing(LinePoint(0, 0), LinePoint(1.0, math.inf), None, 1.0) is None
    assert crossing(LinePoint(0.5, -0.1), LinePoint(1.0, 2.0), None, 1.0) is None
    assert crossing(LinePoint(math.nextafter(1.0, 0), 0.5), LinePoint(1.0, 2.0), None, 1.0) is None
    assert halfway(LinePoint(0, 0), LinePoint(0.5, 2.0)) == 0.25
    assert halfway(LinePoint(0.01, 0.5), LinePoint(1.0, 2.0)) == pytest.approx(0.1)


@given(power=st.floats(1, 4), over=logarithm(0.0, 8), start=st.floats(0, 0.98), cap=logarithm(-6, 3))
@example(power=1.0, over=1e8, start=0.0, cap=1.0)
@example(power=4.0, over=1e8, start=0.0, cap=1.0)
def test_a_power_is_found_to_a_hundredth_however_far_it_went(
    power: float, over: float, start: float, cap: float
) -> None:
    # from start · cap to at least 1.001 · cap
    def kl(share: float) -> float:
        return cap * (start + (1.001 * over - start) * share**power)

    share, found, readings = last_within(
        lambda share: reading(kl(share), cap), reading(kl(0), cap), reading(kl(1), cap)
    )
    assert found.within
    assert found.upper_bound == kl(share) >= 0.99 * cap
    assert readings <= MOST_READINGS


@given(over=logarithm(0.01, 8), start=st.floats(0, 0.98), bend=logarithm(-6, 2), powers=st.permutations([1, 2, 3]))
def test_so_is_a_kl_whose_power_changes_on_the_way(over: float, start: float, bend: float, powers: list[int]) -> None:
    # such as |a + b s|² of a policy that began the stage away from the base; the crossover is anywhere on the way
    def kl(share: float) -> float:
        return start + over * (share ** powers[0] + bend * share ** powers[1])

    _, found, readings = last_within(lambda share: reading(kl(share)), reading(start), reading(kl(1)))
    assert 0.99 <= found.upper_bound <= 1
    assert readings <= MOST_READINGS


@given(
    kls=st.lists(st.floats(0, 3) | logarithm(0, 300) | st.sampled_from([math.nan, math.inf]), min_size=12, max_size=12),
    ended=st.floats(1, 1e300, exclude_min=True) | st.just(math.inf),
    start=st.floats(-1e-6, 1),
)
def test_it_ends_within_whatever_lies_on_the_way(kls: list[float], ended: float, start: float) -> None:
    """KLs that have nothing to do with one another, each at its share, and the last one read within is returned."""
    seen: dict[float, Reading] = {0.0: reading(start)}

    def read_at(share: float) -> Reading:
        assert 0 < share < 1
        assert share not in seen
        seen[share] = reading(kls[len(seen) - 1])
        return seen[share]

    share, found, readings = last_within(read_at, reading(start), reading(ended))
    assert found.within
    assert found is seen[share] or share == 0
    assert share == max(share for share, one in seen.items() if one.within)
    assert readings == len(seen) - 1 <= MOST_READINGS


@given(over=logarithm(0.01, 6), noise=st.floats(0, 0.5), rate=st.floats(1, 1e6))
def test_noise_takes_it_no_farther_than_the_cap(over: float, noise: float, rate: float) -> None:
    def kl(share: float) -> float:
        return over * share**2 * (1 + noise * math.sin(rate * share))

    share, found, readings = last_within(lambda share: reading(kl(share)), reading(0.0), reading(max(kl(1), 1.01)))
    assert found.within and found.upper_bound == (kl(share) if share else 0.0)
    assert readings <= MOST_READINGS


def test_a_start_at_the_cap_needs_no_reading() -> None:
    found = last_within(lambda share: pytest.fail("not read"), reading(0.995), reading(2.0))
    assert found == (0.0, reading(0.995), 0)
