"""The table of `perdure list`: one line a thing; on a narrow terminal its words wrap within their columns."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

from rich.text import Text

from perdure.cli.views.symbols import Symbols, clean
from perdure.curriculum.file.listing import Listed

HEAD = ("name", "what", "needs", "worlds")
LEAST = {"what": 24, "needs": 15, "worlds": 9}
"""The columns that shrink on a narrow terminal, the first one first, and their least widths."""
GAP = 2


def listing(rows: Sequence[Listed], everywhere: Sequence[str], symbols: Symbols, width: int) -> Iterator[Text]:
    """The lines of a table; `everywhere` are the worlds that there are. A column with nothing in it is left out."""
    cells = [[clean(cell, symbols) for cell in _cells(row, everywhere)] for row in rows]
    shown = [index for index in range(len(HEAD)) if any(row[index] for row in cells)]
    head, cells = [HEAD[index] for index in shown], [[row[index] for index in shown] for row in cells]
    widths = _widths(head, cells, width)
    yield Text(_lines(head, widths)[0], style="dim")
    group = ""
    for row, line in zip(rows, cells, strict=True):
        if row.group != group:
            group = row.group
            yield Text("")
            yield Text(clean(group, symbols), style="dim")
        yield from map(Text, _lines(line, widths))


def _cells(row: Listed, everywhere: Sequence[str]) -> tuple[str, ...]:
    worlds = "all" if row.worlds == tuple(everywhere) else ", ".join(row.worlds)
    return tuple(cell.replace("`", "") for cell in (row.name, row.summary, row.needs, worlds))


def _widths(head: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """The width of each column: its longest cell, less what the terminal lacks."""
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    for name, least in LEAST.items():
        excess = sum(widths) + GAP * (len(widths) - 1) - width
        if name in head and excess > 0:
            index = head.index(name)
            widths[index] = max(widths[index] - excess, min(least, widths[index]))
    return widths


def _lines(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """One row: each cell wrapped within its column."""
    wrapped = [wrap(cell, width, break_long_words=False) for cell, width in zip(cells, widths, strict=True)]
    return [
        (" " * GAP).join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip_longest(*wrapped, fillvalue="")
    ]
