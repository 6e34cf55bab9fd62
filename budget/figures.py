"""Figures as text, with enough digits that each visibly lies on its own side of the cap."""

import math

ROUNDING = 1e-12
"""What float64 can make of a sum of shares that is 0."""

MAX_EXTRA_DIGITS = 6
"""Digits added at most to distinguish a figure from its cap: enough for relative differences above two millionths."""


def figure(value: float | None, more: int = 0) -> str:
    """Three decimals and `more`, fewer for large values, an exponent for very large or small; `n/a`: not finite.

    What is within `ROUNDING` of 0 is 0.
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    value = 0.0 if abs(value) < ROUNDING else value
    size = abs(value)
    if size >= 1e5 or 0 < size < 5e-4:
        return f"{value:.{1 + more}e}"
    return f"{value:.{more + (3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0)}f}"


def p_value(value: float | None) -> str:
    """`p = 0.040`; `p < 1e-12` in place of a 0 that no test gives."""
    return f"p < {ROUNDING:.0e}" if value is not None and 0 <= value < ROUNDING else f"p = {figure(value)}"


KL_ROUNDING = 1e-6
"""What float32 can make of a KL of 0, in nats."""


def nats(kl: float | None) -> str:
    """A KL or its error as `figure`, but `0.000` where it is no more than rounding."""
    return figure(0.0 if kl is not None and abs(kl) < KL_ROUNDING else kl)


def format_pair(cap: float | None, *values: float | None) -> tuple[str, ...]:
    """The cap, then the values compared with it, as text: `0.500`, `0.213`, but `0.5000`, `0.5003`.

    All have the fewest extra digits with which each text is below, above or equal to the cap's as its value is. A value
    that `MAX_EXTRA_DIGITS` do not distinguish from the cap has the cap's text.
    """
    candidates = [tuple(figure(one, more) for one in (cap, *values)) for more in range(MAX_EXTRA_DIGITS + 1)]

    def faithful(texts: tuple[str, ...]) -> int:
        return sum(_keeps_order(cap, *pair, texts[0]) for pair in zip(values, texts[1:], strict=True))

    return max(candidates, key=faithful)


def _keeps_order(cap: float | None, value: float | None, text: str, cap_text: str) -> bool:
    """True if the texts compare as the numbers do, or one is not a finite number."""
    if cap is None or value is None or not (math.isfinite(cap) and math.isfinite(value)):
        return True
    return _order(float(text), float(cap_text)) == _order(value, cap)


def _order(one: float, other: float) -> int:
    return (one > other) - (one < other)
