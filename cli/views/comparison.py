"""Runs side by side, as text."""

from collections.abc import Iterator

from rich.text import Text

from perdure.agent.run.compare import Comparison
from perdure.cli.views.formats import Sheet
from perdure.cli.views.run_sheets import compare_sheets
from perdure.cli.views.symbols import Symbols, clean
from perdure.cli.views.text_table import Form, table
from perdure.cli.views.wrapped import hanging


def comparison_lines(found: Comparison, symbols: Symbols, width: int) -> Iterator[Text]:
    """What limits the comparison, the figures with their differences, and what differs in the curricula."""
    for note in found.notes:
        yield from hanging("note: ", clean(note, symbols), width)
    if found.notes:
        yield Text("")
    figures, settings = compare_sheets(found)
    yield from _sheet(figures, symbols, width)
    yield Text("")
    if settings.texts:
        yield from _sheet(settings, symbols, width)
    else:
        yield Text("the curricula are the same")


def _sheet(sheet: Sheet, symbols: Symbols, width: int) -> Iterator[Text]:
    yield from (Text(line.plain, style="bold") for line in hanging("", clean(sheet.title, symbols), width))
    yield from table(sheet.head, sheet.texts, Form(symbols, width), "l" * len(sheet.head))
