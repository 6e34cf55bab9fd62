"""Tables of the reports of `perdure law` and `perdure plan`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from perdure.cli.views.symbols import UNBOUNDED, Symbols, clean, shorten

TableRow = tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """The characters to write with, and the width of the page."""

    symbols: Symbols
    width: int = UNBOUNDED

    @property
    def square(self) -> str:
        """R squared, in these characters."""
        return "R2" if self.symbols.ascii else "R²"


def table(
    head: TableRow, rows: Sequence[TableRow | str], form: Form, aligned: str, optional: Sequence[int] = ()
) -> Iterator[Text]:
    """A title line and rows, two spaces between columns; a row that is a text stands by itself.

    A table that is too wide omits `optional` columns, in their order.
    """
    longest = max(form.width // 3, 24)
    cells = [
        tuple(shorten(clean(cell, form.symbols), longest, form.symbols) for cell in row)
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


def _line(cells: TableRow, shown: Sequence[int], widths: Sequence[int], aligned: str) -> str:
    padded = []
    for index in shown:
        space = " " * (widths[index] - cell_len(cells[index]))
        padded.append(space + cells[index] if aligned[index] == "r" else cells[index] + space)
    return "  ".join(padded).rstrip()
