"""Estimates against numbers worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.estimate import Group, per_sequence, per_token, quantile_over_texts


def test_one_group() -> None:
    # sums 1, 3 over 1 and 3 positions: 2 nats a text (standard error sqrt(((-1)² + 1²) / (2·1)) = 1), 4/4 = 1 a token;
    # residuals 1 - 1·1 = 0 and 3 - 1·3 = 0, so the ratio has no spread at all
    group = Group((1.0, 3.0), (1, 3))
    assert per_sequence([group]).value == 2
    assert per_sequence([group]).stderr == 1
    assert per_token([group]).value == 1
    assert per_token([group]).stderr == 0


def test_ratio_and_its_linearised_error() -> None:
    # sums 1, 2 over 1 and 4 positions: ratio 3/5; residuals 1 - 0.6 = 0.4 and 2 - 2.4 = -0.4;
    # sqrt((0.16 + 0.16) / 2) / 2.5 = 0.4 / 2.5 = 0.16
    found = per_token([Group((1.0, 2.0), (1, 4))])
    assert found.value == pytest.approx(0.6)
    assert found.stderr == pytest.approx(0.16)


def test_groups_count_in_equal_parts_whatever_their_size() -> None:
    # means 1 and 4, though the first has three texts: (1 + 4) / 2; errors 0 and 1: sqrt(0 + 1) / 2
    found = per_sequence([Group((1.0, 1.0, 1.0), (1, 1, 1)), Group((3.0, 5.0), (1, 1))])
    assert (found.value, found.stderr, found.n) == (2.5, 0.5, 5)


def test_one_text_has_no_standard_error() -> None:
    assert per_sequence([Group((2.0,), (4,))]).stderr is None
    assert per_token([Group((2.0,), (4,)), Group((1.0, 2.0), (1, 1))]).stderr is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_passed_on(bad: float) -> None:
    group = Group((1.0, bad), (2, 2))
    assert not per_token([group]).finite
    assert not per_sequence([group]).finite


def test_quantiles_are_of_the_means_of_all_texts() -> None:
    # means 1, 2, 3 and 6: the median is half way from 2 to 3, the 90 % quantile at 2.7 of 3 steps: 3 + 0.7 * 3
    groups = [Group((3.0, 6.0), (3, 1)), Group((4.0, 3.0), (2, 1))]
    assert quantile_over_texts(groups, 0.5) == pytest.approx(2.5)
    assert quantile_over_texts(groups, 0.9) == pytest.approx(5.1)
    assert quantile_over_texts([Group((2.0,), (4,))], 0.9) == 0.5
    assert math.isnan(quantile_over_texts([Group((1.0, math.inf), (2, 2))], 0.5))


@pytest.mark.parametrize(("sums", "lengths"), [((), ()), ((1.0,), (1, 2)), ((1.0,), (0,))])
def test_groups_are_checked(sums: tuple[float, ...], lengths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        Group(sums, lengths)


@given(st.lists(st.tuples(st.floats(0, 1e3), st.integers(1, 50)), min_size=2, max_size=20))
def test_a_token_costs_between_the_cheapest_and_the_dearest_text(texts: list[tuple[float, int]]) -> None:
    group = Group(tuple(s for s, _ in texts), tuple(length for _, length in texts))
    rates = [s / length for s, length in texts]
    assert min(rates) - 1e-9 <= per_token([group]).value <= max(rates) + 1e-9
