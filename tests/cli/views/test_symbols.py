"""Marks and text: to scale, of their width, and harmless to a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from perdure.cli.views.symbols import ASCII, UNICODE, Symbols, bar, clean, shorten, spark, symbols_for


@pytest.mark.parametrize(
    ("encoding", "symbols"), [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("?", ASCII)]
)
def test_glyphs_follow_the_encoding(encoding: str, symbols: Symbols) -> None:
    assert symbols_for(encoding) is symbols


@given(st.lists(st.floats(), max_size=80), st.integers(0, 60))
def test_spark_has_one_mark_a_value(values: list[float], width: int) -> None:
    line = spark(values, width, UNICODE)
    assert len(line) == min(len(values), width)
    assert set(line) <= set(UNICODE.levels + UNICODE.broken)


def test_spark_is_to_scale() -> None:
    # 0..7 are the eight levels; from zero, 5 of 10 is level 3.5, which rounds to the even 4.
    assert spark(range(8), 8, UNICODE) == UNICODE.levels
    assert spark([5, 10], 8, UNICODE, low=0) == UNICODE.levels[4] + UNICODE.levels[7]
    # the span of these two is greater than any float
    assert spark([1.7e308, -1.7e308], 8, UNICODE) == UNICODE.levels[7] + UNICODE.levels[0]


@given(st.floats(), st.integers(0, 60))
def test_bar_has_its_width(share: float, width: int) -> None:
    full, rest = bar(share, width, UNICODE)
    assert len(full + rest) == width


@given(st.text(max_size=40), st.integers(0, 30))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert cell_len(shorten(clean(text), width, UNICODE)) <= width


@given(st.text(max_size=40))
def test_clean_text_cannot_steer_a_terminal(text: str) -> None:
    assert clean(text).isprintable()
    assert clean(text, ASCII).isascii()
