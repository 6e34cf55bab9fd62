"""Figures and durations in words."""

import pytest

from perdure.budget.figures import figure
from perdure.cli.views.format import format_duration


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (102.9, "1:42"), (7384, "2:03:04"), (None, "n/a"), (float("inf"), "n/a")]
)
def test_durations(seconds: float | None, words: str) -> None:
    assert format_duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.2134, "0.213"),
        (12.345, "12.35"),
        (123.45, "123.5"),
        (1e6, "1.0e+06"),
        (1e-5, "1.0e-05"),
        (0, "0.000"),
        (None, "n/a"),
    ],
)
def test_figures(value: float | None, words: str) -> None:
    assert figure(value) == words
