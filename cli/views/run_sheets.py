"""A run, and runs side by side, as tables for other programs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from perdure.agent.run.events import Measured
from perdure.agent.run.percent import format_score, in_percent, metric_in_percent
from perdure.agent.run.report import change_since
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import nats, p_value
from perdure.cli.views.cells import ALPHA, IN_PART, PairedTests, columns
from perdure.cli.views.describe import describe_intervention
from perdure.cli.views.format import last_reading
from perdure.cli.views.formats import Sheet
from perdure.cli.views.symbols import ASCII
from perdure.curriculum.messages import show_value

if TYPE_CHECKING:
    from perdure.agent.run.compare import Comparison, Figure, Value
    from perdure.eval.metrics import MetricEstimate

CHANGED = (
    "in brackets the change since the base in points; *: p < 0.05 in a paired test, item by item; ~: asked in part"
)

AS_THEY_ARE = " (those that are no shares from 0 to 1 as they are)"


def run_sheets(record: RunState, changes: PairedTests, metrics: "Mapping[str, MetricEstimate]") -> tuple[Sheet, ...]:
    """The retention table with all figures of a stage, and the metrics."""
    return retention_sheet(record, changes), _metric_sheet(record, metrics)


def retention_sheet(record: RunState, changes: PairedTests) -> Sheet:
    """A row a stage: its method, KL and scores; a score in per cent, and its change since the base."""
    names = (*record.tasks, *record.benchmarks)
    cells = columns(record, names, record.rows, changes, ASCII)
    texts = tuple(
        (
            str(row.stage),
            row.name or "base",
            row.method or "",
            nats(reading.kl.value) if (reading := last_reading(row)) is not None else "",
            *(
                _scored(column.cells[index].value, column.cells[index].change, column.cells[index].mark)
                for column in cells
            ),
        )
        for index, row in enumerate(record.rows)
    )
    head = ("stage", "task", "method", "KL", *names)
    title = f"{record.run}: scores in %{'' if in_percent(record, names) else AS_THEY_ARE}, {CHANGED}"
    tested = tuple(part for name in names for part in (name, *(f"{name} {one}" for one in TESTED)))
    figure_head = ("stage", "task", "method", "steps", "seconds", *KL, "interventions", *tested)
    figures = tuple(_figures(record, row, names, changes) for row in record.rows)
    return Sheet(title, head, texts, figure_head, figures)


TESTED = ("stderr", "n", "of", "change", "p")
"""The figures of a score beside its value: of `of` items `n` were asked, fewer where it was asked in part."""

KL = ("kl_per_token", "kl_per_sequence", "on_generic", "kl_bound", "cap")


def _scored(value: str, change: str, mark: str) -> str:
    return f"{value} ({change.strip()}{mark})" if change else value + mark


def _kl(reading: Measured | None) -> tuple[Any, ...]:
    if reading is None:
        return (None,) * len(KL)
    kls = (reading.kl_per_token.value, reading.kl_per_sequence.value)
    return (*kls, reading.on_generic, reading.upper_bound, reading.cap)


def _figures(record: RunState, row: StageState, names: Sequence[str], changes: PairedTests) -> tuple[Any, ...]:
    reading, base = last_reading(row), record.row(0)
    found: list[Any] = [row.stage, row.name or "base", row.method, row.steps, row.seconds, *_kl(reading)]
    found.append("; ".join(describe_intervention(event, row) for event in row.interventions))
    for name in names:
        score, test = row.scores.get(name), changes.get((row.stage, name))
        before = None if base is None or row.stage == 0 else base.scores.get(name)
        change = change_since(before, score, None if test is None else test.difference)
        of = row.asked[name].of if name in row.asked else None if score is None else score.n
        parts = (None, None, None, None) if score is None else (score.value, score.stderr, score.n, of)
        found += [*parts, change, None if test is None else test.p_value]
    return tuple(found)


def _metric_sheet(record: RunState, metrics: "Mapping[str, MetricEstimate]") -> Sheet:
    rows = tuple(
        (
            name.replace("_", " "),
            format_score(one.value, percent),
            "" if one.low is None else f"{format_score(one.low, percent)} to {format_score(one.high, percent)}",
        )
        for name, one in metrics.items()
        for percent in (metric_in_percent(record, name),)
    )
    return Sheet("metrics, in points where scores are in %", ("metric", "value", "95 % interval"), rows)


def compare_sheets(found: "Comparison") -> tuple[Sheet, ...]:
    """Figures side by side with their differences from the first run, and what differs in the curricula."""
    others = found.titles[1:]
    head = ("", *found.titles, *(f"{title} - {found.titles[0]}" for title in others))
    texts = tuple(
        (
            one.name.replace("_", " "),
            *(_value(one, value) for value in one.values),
            *(_difference(one, value) for value in one.values[1:]),
        )
        for one in found.figures
    )
    figure_head = (
        "kind",
        "name",
        "run",
        "value",
        "low",
        "high",
        "difference",
        "diff_low",
        "diff_high",
        "p",
        "n",
        "reason",
        "asked",
        "of",
    )
    figures = tuple(
        _figure_row(one, *pair) for one in found.figures for pair in zip(found.titles, one.values, strict=True)
    )
    beyond = "" if all(one.percent for one in found.figures if one.kind != "kl") else AS_THEY_ARE
    title = f"figures in %, differences in points{beyond} with their 95 % interval; *: p < 0.05 in a paired test"
    if any(value.asked is not None for one in found.figures for value in one.values):
        title += f"; {IN_PART}: asked in part"
    settings = tuple((path, *map(_setting, values)) for path, values in found.settings.items())
    return (
        Sheet(title, head, texts, figure_head, figures),
        Sheet("what differs in the curricula", ("setting", *found.titles), settings),
    )


def _figure_row(one: "Figure", title: str, value: "Value") -> tuple[Any, ...]:
    test = value.change
    tested = (None,) * 4 if test is None else (test.low, test.high, test.p_value, test.n)
    figures = (value.value, value.low, value.high, value.difference, *tested, value.reason)
    part = (None, None) if value.asked is None else (value.asked.n, value.asked.of)
    return one.kind, one.name, title, *figures, *part


def _value(one: "Figure", value: "Value") -> str:
    if value.value is None:
        return "n/a"
    part = "" if value.asked is None else IN_PART
    return format_score(value.value, one.percent) + part


def _difference(one: "Figure", value: "Value") -> str:
    if value.difference is None:
        return f"not compared: {value.reason}" if value.reason else "n/a"
    low, high = (None, None) if value.change is None else (value.change.low, value.change.high)
    words, *ends = (format_score(part, one.percent, signed=True) for part in (value.difference, low, high))
    test = value.change
    if test is None or test.low is None or test.p_value is None:
        return words
    mark = "*" if test.p_value < ALPHA else ""
    return f"{words}{mark} [{', '.join(ends)}], {p_value(test.p_value)}"


def _setting(value: Any) -> str:
    return "(not there)" if value is None else show_value(value)
