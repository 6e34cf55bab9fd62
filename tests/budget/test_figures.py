"""Figures beside their cap: rounded, and still on the side of it where they are."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perdure.budget.figures import figure, format_pair, p_value

KL = st.floats(1e-9, 1e9)


@pytest.mark.parametrize(
    ("value", "more", "words"),
    [
        (0.2134, 1, "0.2134"),
        (12.345, 2, "12.3450"),
        (1e6, 1, "1.00e+06"),
        (1e-5, 1, "1.00e-05"),
        (-3.7e-17, 0, "0.000"),
        (math.nan, 3, "n/a"),
    ],
)
def test_more_digits(value: float, more: int, words: str) -> None:
    assert figure(value, more) == words


@pytest.mark.parametrize(
    ("cap", "values", "words"),
    [
        (0.5, (0.213,), ("0.500", "0.213")),
        (0.5, (0.5,), ("0.500", "0.500")),
        # 0.50031 and 0.49996 round to the cap, but lie above it and below it
        (0.5, (0.50031,), ("0.5000", "0.5003")),
        (0.5, (0.49996,), ("0.50000", "0.49996")),
        # 12.004 rounds to 12.00 since there are two decimals from 10 on
        (12.0, (12.004,), ("12.000", "12.004")),
        # a small cap: 0.0104 is above 0.01 by 4 %
        (0.01, (0.0104,), ("0.0100", "0.0104")),
        # the bound alone needs the digit, and all have it
        (0.5, (0.4, 0.5003), ("0.5000", "0.4000", "0.5003")),
        (0.5, (math.nan,), ("0.500", "n/a")),
        (0.5, (math.inf,), ("0.500", "n/a")),
        (None, (0.5,), ("n/a", "0.500")),
        # the sum of 0.1 and 0.2 differs from 0.3 by rounding alone
        (0.3, (0.1 + 0.2,), ("0.300", "0.300")),
    ],
)
def test_a_figure_and_its_cap(cap: float | None, values: tuple[float, ...], words: tuple[str, ...]) -> None:
    assert format_pair(cap, *values) == words


def order(one: float, other: float) -> int:
    return (one > other) - (one < other)


@st.composite
def blurred(draw: st.DrawFn) -> tuple[float, float]:
    """A cap and a figure beside it, that differ, but have the same text when they are rounded as usual."""
    cap = 10 ** draw(st.floats(-9, 9))
    value = cap * (1 + draw(st.sampled_from((-1, 1))) * 10 ** draw(st.floats(-9, -2.5)))
    assume(value != cap and figure(value) == figure(cap))
    return cap, value


@given(pair=st.one_of(st.tuples(KL, KL), blurred()))
def test_what_is_shown_is_never_on_the_other_side(pair: tuple[float, float]) -> None:
    # Figures from 5e-4 on have the fewest digits for their size: nine decimals with six more, and one in the last is
    # 2e-6 of 5e-4. Two figures that are farther apart than one in the last place never round to the same.
    cap, value = pair
    shown_cap, shown = map(float, format_pair(cap, value))
    told = order(shown, shown_cap)
    assert told == order(value, cap) or (told == 0 and abs(value / cap - 1) <= 2.1e-6)


@pytest.mark.parametrize(
    ("cap", "value", "words"),
    [
        # 3e-9 at 6e-4, five millionths, is seen in the ninth decimal; 3e-10, half a millionth, is not
        (6e-4, 6.00003e-4, ("0.000600000", "0.000600003")),
        (6e-4, 6.000003e-4, ("0.001", "0.001")),
        # half a millionth of 12 is 6e-6, which rounds up in the fifth decimal
        (12.0, 12.000006, ("12.00000", "12.00001")),
    ],
)
def test_a_millionth_is_not_always_seen(cap: float, value: float, words: tuple[str, str]) -> None:
    assert format_pair(cap, value) == words


def test_a_figure_that_cannot_be_told_does_not_blur_the_others() -> None:
    assert format_pair(0.5, 0.5 + 1e-15, 0.49996) == ("0.50000", "0.50000", "0.49996")


def test_no_test_gives_a_p_of_zero() -> None:
    assert [p_value(one) for one in (0.04, 1e-9, 1e-13, 0.0, None)] == [
        "p = 0.040",
        "p = 1.0e-09",
        "p < 1e-12",
        "p < 1e-12",
        "p = n/a",
    ]
