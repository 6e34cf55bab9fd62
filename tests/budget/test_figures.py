"""Figures beside their cap: rounded, and still on the side of it where they are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.figures import against, figure

KL = st.floats(1e-9, 1e9)


@pytest.mark.parametrize(
    ("value", "more", "words"),
    [(0.2134, 1, "0.2134"), (12.345, 2, "12.3450"), (1e6, 1, "1.00e+06"), (1e-5, 1, "1.00e-05"), (math.nan, 3, "n/a")],
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
    assert against(cap, *values) == words


@given(cap=KL, value=KL)
def test_what_is_shown_is_never_on_the_other_side(cap: float, value: float) -> None:
    shown_cap, shown = map(float, against(cap, value))
    if value > cap:
        assert shown >= shown_cap
    if value < cap:
        assert shown <= shown_cap


@given(cap=KL, share=st.floats(0.5, 2.0))
def test_a_difference_of_a_millionth_is_seen(cap: float, share: float) -> None:
    # figures below 1e5 have at least 6 more digits than 3 significant ones, and larger or small ones 8 significant
    value = cap * share
    if abs(share - 1) > 1e-5:
        shown_cap, shown = map(float, against(cap, value))
        assert (shown > shown_cap) == (value > cap) and (shown < shown_cap) == (value < cap)
