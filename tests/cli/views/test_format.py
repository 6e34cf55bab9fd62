"""Figures and durations in words."""

import pytest

from perdure.budget.figures import figure, nats
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


@pytest.mark.parametrize(
    ("kl", "words"), [(-7.9e-9, "0.000"), (9e-7, "0.000"), (2e-6, "2.0e-06"), (-0.1, "-0.100"), (None, "n/a")]
)
def test_a_kl_within_rounding_of_0_is_0(kl: float | None, words: str) -> None:
    assert nats(kl) == words
