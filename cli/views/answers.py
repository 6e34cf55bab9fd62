"""Answers before and after, item by item, as text. All that a model said is escaped."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from perdure.agent.run.answers import ColumnAnswers, ItemAnswers
from perdure.agent.run.state import StageState
from perdure.budget.figures import figure
from perdure.cli.views.symbols import Symbols, clean
from perdure.cli.views.wrapped import hanging

LONGEST = 2000
"""Characters of a text that are shown; `--json` has all."""
COLOURS = {"lost": "red", "gained": "green"}


def answer_lines(
    columns: Sequence[ColumnAnswers], stage: StageState, limit: int, symbols: Symbols, width: int, *, changed: bool
) -> Iterator[Text]:
    """A title a column, and at most `limit` items of each: those that `changed` alone, or all."""
    for column in columns:
        yield Text(clean(_title(column, stage), symbols), style="bold")
        if column.fault is not None:
            yield from hanging("  ", clean(column.fault, symbols), width)
        chosen = [item for item in column.items if not changed or item.outcome in COLOURS]
        for item in chosen[:limit]:
            yield from _item(item, stage, symbols, width)
        if len(chosen) > limit:
            yield Text(f"  {len(chosen) - limit} more; see them with --limit {len(chosen)}", style="dim")
        yield Text("")


def _title(column: ColumnAnswers, stage: StageState) -> str:
    where = f"after stage {stage.stage} ({stage.name})" if stage.stage else "base"
    if column.fault is not None:
        return f"{column.name} {where}"
    counts = f"{column.count('lost')} lost, {column.count('gained')} gained, {column.count('same')} as before"
    unscored = f", {column.count('unscored')} without a score" if column.count("unscored") else ""
    rest = f"; {column.not_asked} more items were not asked" if column.not_asked else ""
    return f"{column.name} {where}: of {len(column.items)} items {counts}{unscored}{rest}"


def _item(item: ItemAnswers, stage: StageState, symbols: Symbols, width: int) -> Iterator[Text]:
    scores = f"{_score(item.base_score)} -> {_score(item.score)}"
    yield Text(clean(f"  {item.outcome:<8}  score {scores}", symbols), style=COLOURS.get(item.outcome, ""))
    texts = [
        ("prompt", item.prompt if item.prompt is not None else "(this file of an older version does not hold it)"),
        ("expected", item.expected),
        ("base", item.base),
        (f"stage {stage.stage}", item.answer if stage.stage else None),
    ]
    for name, text in texts:
        if text is not None:
            yield from _text(f"    {name:<9} ", text, symbols, width)


def _text(label: str, text: str, symbols: Symbols, width: int) -> Iterator[Text]:
    """A text with its own lines kept, each escaped."""
    whole = text if len(text) <= LONGEST else f"{text[:LONGEST]}{symbols.more} ({len(text)} characters)"
    for number, line in enumerate(whole.split("\n")):
        yield from hanging(label if number == 0 else " " * len(label), clean(line, symbols), width)


def _score(value: float | None) -> str:
    return "none" if value is None else f"{value:g}" if value in (0, 1) else figure(value)
