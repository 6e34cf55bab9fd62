"""Tables in the formats of other programs: CSV with figures in full; Markdown and LaTeX as people read them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perdure.cli.views.symbols import clean


@dataclass(frozen=True)
class Sheet:
    """One table: `figures` are as they are in CSV, `texts` what Markdown and LaTeX show."""

    title: str
    head: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    figure_head: tuple[str, ...] = ()
    figures: tuple[tuple[Any, ...], ...] = ()


def print_sheets(sheets: Sequence[Sheet], form: str) -> None:
    """Print tables in a format: as CSV the first alone."""
    text = {
        "csv": lambda: as_csv(sheets[0]),
        "markdown": lambda: as_markdown(sheets),
        "latex": lambda: as_latex(sheets),
    }
    print(text[form](), end="")


def as_csv(sheet: Sheet) -> str:
    """The figures of a table; what is not known is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(sheet.figure_head)
    writer.writerows([_cell(value) for value in row] for row in sheet.figures)
    return file.getvalue()


def as_markdown(sheets: Sequence[Sheet]) -> str:
    """Tables of Markdown (GitHub's), each below its title."""
    parts = []
    for sheet in sheets:
        rows = [[clean(cell).replace("|", "\\|") for cell in row] for row in sheet.texts]
        parts.append(f"### {clean(sheet.title)}\n\n{_drawn(sheet.head, rows, 'github')}\n")
    return "\n".join(parts)


def as_latex(sheets: Sequence[Sheet]) -> str:
    """Tables of LaTeX with the rules of booktabs, each below its title in a comment; special characters are escaped."""
    parts = []
    for sheet in sheets:
        rows = [[clean(cell) for cell in row] for row in sheet.texts]
        parts.append(f"% {clean(sheet.title)}\n{_drawn(sheet.head, rows, 'latex_booktabs')}\n")
    return "\n".join(parts)


def _drawn(head: Sequence[str], rows: Sequence[Sequence[str]], style: str) -> str:
    from tabulate import tabulate

    titles = [clean(title) for title in head]
    return str(tabulate(rows, titles, tablefmt=style, disable_numparse=True))


def _cell(value: Any) -> Any:
    """A text without control characters, so that a row is a line; a spreadsheet must not take it for a formula."""
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
