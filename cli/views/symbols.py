"""The characters that every view draws with, and text made safe to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from perdure.curriculum.messages import printable

UNBOUNDED = 100_000
"""The width of a report off a terminal."""


@dataclass(frozen=True)
class Symbols:
    """One character for each thing drawn; `levels` are eight heights, lowest first."""

    levels: str
    full: str
    rest: str
    rule: str
    wall: str
    cross: str
    better: str
    worse: str
    dot: str
    none: str
    more: str
    here: str
    undo: str
    stop: str
    broken: str
    projected: str
    recovered: str
    averaged: str
    plus_minus: str

    @property
    def spinner(self) -> str:
        """The frames of a spinner."""
        return "|/-\\" if self.ascii else "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

    @property
    def ascii(self) -> bool:
        return self.levels.isascii()


UNICODE = Symbols("▁▂▃▄▅▆▇█", "━", "─", "─", "│", "┼", "▲", "▼", "·", "·", "…", "▸", "↺", "■", "✗", "↤", "✚", "≈", "±")
ASCII = Symbols("_.:-=+*#", "#", "-", "-", "|", "+", "*", "*", "-", ".", "~", ">", "<", "!", "x", "/", "+", "=", "+/-")


def symbols_for(encoding: str) -> Symbols:
    """Unicode where the encoding can carry it, ASCII where it cannot."""
    everything = "".join(str(symbol) for symbol in (*vars(UNICODE).values(), UNICODE.spinner))
    try:
        everything.encode(encoding)
    except (UnicodeError, LookupError):
        return ASCII
    return UNICODE


def clean(text: object, symbols: Symbols = UNICODE) -> str:
    """`text` on one line, without control characters; in ASCII where `symbols` are ASCII, the rest escaped.

    Escape sequences, newlines, marks that reverse the writing and lone surrogates are written out, as `\\x1b`: a name
    or an answer of the model can neither colour the screen nor move the cursor.
    """
    safe = printable(str(text).replace("\u00a0", " "), kept="")
    if not symbols.ascii:
        return safe
    return safe.replace(UNICODE.plus_minus, ASCII.plus_minus).encode("ascii", "backslashreplace").decode()


def harmless(line: Text) -> Text:
    """A line that is about to be drawn, without its styles where a part of it was not `clean`."""
    return line if line.plain.isprintable() else Text(printable(line.plain))


def shorten(text: str, width: int, symbols: Symbols) -> str:
    """`text` in at most `width` terminal cells: its head, an ellipsis and its tail, where numbered names differ."""
    if cell_len(text) <= width:
        return text
    if width <= 3:
        return set_cell_size(text, max(width, 0)).rstrip()
    tail = (width - 1) // 2
    head = set_cell_size(text, width - 1 - tail).rstrip()
    end = text[-tail:] if tail else ""
    while cell_len(end) > tail:
        end = end[1:]
    return f"{head}{symbols.more}{end}"


def spark(values: Sequence[float], width: int, symbols: Symbols, low: float | None = None) -> str:
    """The last `width` values as heights between `low` (default: the least value) and the greatest one."""
    shown = list(values)[-width:] if width > 0 else []
    finite = [value for value in shown if math.isfinite(value)]
    if not finite:
        return symbols.broken * len(shown)
    bottom = min(finite) if low is None else min(low, *finite)
    span = max(finite) / 2 - bottom / 2  # halves: the whole may overflow
    top = len(symbols.levels) - 1
    return "".join(
        symbols.levels[round((value / 2 - bottom / 2) / span * top) if span > 0 else 0]
        if math.isfinite(value)
        else symbols.broken
        for value in shown
    )


def spin(now: float, symbols: Symbols) -> str:
    """The frame of the spinner at a time: eight a second."""
    return symbols.spinner[int(now * 8) % len(symbols.spinner)]


def bar(share: float, width: int, symbols: Symbols) -> tuple[str, str]:
    """The filled and the empty part of a bar; a share that is no number, or above 1, fills it."""
    part = min(max(share, 0.0), 1.0) if math.isfinite(share) else 1.0
    filled = min(int(part * width + 0.5), width)
    return symbols.full * filled, symbols.rest * (width - filled)
