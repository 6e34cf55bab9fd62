"""Figures as text: rounded, but never so far that one seems to lie on another side of its cap than it does."""

import math

MOST = 6
"""Digits that are added at most to tell a figure from its cap.

They tell every relative difference of more than two millionths. Below that both texts can be equal: with six digits
more, figures from 0.0005 on have nine decimals, so that two near it may differ by a millionth and look the same.
"""


def figure(value: float | None, more: int = 0) -> str:
    """Three decimals, fewer for large figures, the exponent for very large or small ones; `n/a` for no number.

    `more` digits are added.
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if size >= 1e5 or 0 < size < 5e-4:
        return f"{value:.{1 + more}e}"
    return f"{value:.{more + (3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0)}f}"


def against(cap: float | None, *values: float | None) -> tuple[str, ...]:
    """The cap, then the figures that are held against it, as text: `0.500`, `0.213`, but `0.5000`, `0.5003`.

    All have as many digits more as it takes for each text to be below, above or equal to that of the cap just as its
    figure is. One that `MOST` digits do not tell from the cap has the same text, never one on its other side.
    """
    shown = [tuple(figure(one, more) for one in (cap, *values)) for more in range(MOST + 1)]

    def told(texts: tuple[str, ...]) -> int:
        return sum(_tells(cap, *pair, texts[0]) for pair in zip(values, texts[1:], strict=True))

    return max(shown, key=told)


def _tells(cap: float | None, value: float | None, shown: str, cap_shown: str) -> bool:
    """Whether the texts compare as the numbers do; where one is none, there is nothing to tell."""
    if cap is None or value is None or not (math.isfinite(cap) and math.isfinite(value)):
        return True
    return _order(float(shown), float(cap_shown)) == _order(value, cap)


def _order(one: float, other: float) -> int:
    return (one > other) - (one < other)
