"""Tables of the report of `perdure law`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from perdure.cli.views.symbols import Glyphs, clean, shorten

UNBOUNDED = 100_000

Line = tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """The characters to write with, and how wide a table may be."""

    glyphs: Glyphs
    width: int = UNBOUNDED

    @property
    def square(self) -> str:
        """R squared."""
        return "R2" if self.glyphs.ascii else "R²"


def table(
    head: Line, rows: Sequence[Line | str], form: Form, aligned: str, optional: Sequence[int] = ()
) -> Iterator[Text]:
    """A title line and rows, two spaces between columns; a row that is one text stands by itself.

    Where it is too wide, the `optional` columns go, the first one first.
    """
    longest = max(form.width // 3, 24)
    cells = [
        tuple(shorten(clean(cell, form.glyphs), longest, form.glyphs) for cell in row)
        for row in rows
        if not isinstance(row, str)
    ]
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]
    shown = list(range(len(head)))
    for index in optional:
        if sum(widths[i] + 2 for i in shown) > form.width:
            shown.remove(index)
    yield Text("  " + _line(head, shown, widths, aligned), style="dim")
    drawn = iter(cells)
    for row in rows:
        if isinstance(row, str):
            yield Text(f"  {row}", style="dim")
        else:
            yield Text("  " + _line(next(drawn), shown, widths, aligned))


def _line(cells: Line, shown: Sequence[int], widths: Sequence[int], aligned: str) -> str:
    padded = []
    for index in shown:
        space = " " * (widths[index] - cell_len(cells[index]))
        padded.append(space + cells[index] if aligned[index] == "r" else cells[index] + space)
    return "  ".join(padded).rstrip()
