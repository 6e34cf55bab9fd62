"""The parts of the live view above and below the table: pure functions from a run's state to lines."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text

from perdure.agent.run.events import Measured
from perdure.agent.run.notice_words import describe_notice
from perdure.agent.run.percent import format_score, metric_in_percent
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import figure
from perdure.cli.views.describe import describe_intervention, describe_truncated
from perdure.cli.views.format import (
    format_duration,
    format_generic,
    format_kl,
    format_law,
    is_finite,
    name_state,
    share_of_cap,
)
from perdure.cli.views.retention_table import kl_style
from perdure.cli.views.symbols import Symbols, bar, clean, shorten, spark, spin

if TYPE_CHECKING:
    from perdure.eval.metrics import MetricEstimate

LABEL, NAME, GAP = 8, 18, 2
"""Widths: of a line's label, of a metric's name, and between columns."""
STATUS_STYLE = {
    "running": "cyan",
    "finished": "green",
    "interrupted": "yellow",
    "not running": "yellow",
    "refused": "red",
}


def header(
    title: str, status: str, place: str, seconds: float | None, width: int, symbols: Symbols, left: float | None = None
) -> list[Text]:
    """`demo     stage 2 of 3 · running · 1:42 · about 3:40 left`, and a rule below."""
    rest = "" if left is None else f"about {format_duration(left)} left"
    facts = [part for part in (place, status, format_duration(seconds), rest) if part]
    right = Text()
    for index, fact in enumerate(facts):
        right.append(f" {symbols.dot} " if index else "", style="dim")
        right.append(fact, style=STATUS_STYLE.get(fact, ""))
    name = shorten(clean(title, symbols), max(width - right.cell_len - 2, 8), symbols)
    line = Text.assemble((name, "bold"), " " * max(width - cell_len(name) - right.cell_len, 1), right)
    line.truncate(width)
    return [line, Text(symbols.rule * width, style="dim")]


def labelled(label: str, body: Text, width: int) -> Text:
    """A line with a dim label in the margin, cut at `width`."""
    line = Text.assemble((f"{label:<{LABEL}}", "dim"), body)
    line.truncate(width)
    return line


def stage_lines(row: StageState, progress: Mapping[str, Any], width: int, symbols: Symbols, low: bool) -> list[Text]:
    """The task, the method and why; on a low terminal on one line."""
    method = row.method or progress.get("method")
    body = Text("the base" if row.stage == 0 else clean(row.name, symbols), style="bold")
    if method:
        body = Text.assemble(body, ("  by ", "dim"), (clean(method, symbols), "bold cyan"))
    reason = clean(row.reason or "", symbols)
    if not low:
        why = [labelled("why", Text(shorten_end(reason, width - LABEL, symbols)), width)] if reason else []
        return [labelled("stage", body, width), *why]
    room = width - LABEL - body.cell_len - 2
    short = "  " + shorten_end(reason, room, symbols) if reason and room >= 8 else ""
    return [labelled("stage", Text.assemble(body, (short, "dim")), width)]


def progress_line(
    progress: Mapping[str, Any], remaining: float | None, width: int, symbols: Symbols, now: float
) -> Text:
    """`training ━━━━━────  48 of 100 · 0:21 left`, or as `phase_line`."""
    phase = clean(progress.get("phase") or "starting", symbols)
    step, steps = progress.get("step"), progress.get("max_steps")
    if phase != "training" or not isinstance(step, int) or not isinstance(steps, int) or steps < 1:
        return phase_line(phase, progress, width, symbols, now)
    words = f"{step} of {steps}" + (
        f" {symbols.dot} {format_duration(remaining)} left" if remaining is not None else ""
    )
    room = min(max(width - LABEL - len(phase) - len(words) - 3, 0), 48)
    full, rest = bar(step / steps, room, symbols)
    return labelled("now", Text.assemble(f"{phase} ", (full, "cyan"), (rest, "dim"), f"  {words}"), width)


def phase_line(phase: str, progress: Mapping[str, Any], width: int, symbols: Symbols, now: float) -> Text:
    """`⠹ scoring  german (2 of 7) ━━──  24 of 100`, or `⠹ loading the libraries  0:07`."""
    detail = clean(progress.get("detail") or "", symbols)
    body = Text.assemble((spin(now, symbols), "cyan"), f" {phase}", (f"  {detail}" if detail else "", "dim"))
    counted, since = items(progress), progress.get("since")
    if counted is not None:
        words = f"{counted[0]} of {counted[1]}"
        room = min(max(width - LABEL - body.cell_len - len(words) - 4, 0), 24)
        full, rest = bar(counted[0] / counted[1], room, symbols)
        body = Text.assemble(body, "  ", (full, "cyan"), (rest, "dim"), f"  {words}")
    elif isinstance(since, int | float):
        body.append(f"  {format_duration(max(now - since, 0.0))}", style="dim")
    return labelled("now", body, width)


def items(progress: Mapping[str, Any]) -> tuple[int, int] | None:
    """The items of the phase that are done, and all of them; `None` where they are not counted."""
    done, total = progress.get("done"), progress.get("total")
    return (done, total) if isinstance(done, int) and isinstance(total, int) and total > 0 else None


def kl_line(record: RunState, stage: int, width: int, symbols: Symbols) -> Text:
    """The bar against the cap, the figure, and a sparkline of all readings, earlier stages dim."""
    rows = [row for row in record.rows if row.stage <= stage]
    readings = [(row.stage, reading) for row in rows for reading in row.readings]
    if not readings:
        return labelled("KL", Text("no reading yet", style="dim"), width)
    now = readings[-1][1]
    share = share_of_cap(now)
    words = format_kl(now, symbols.plus_minus, record.nouns)
    reached = name_state(next(row for row in reversed(rows) if row.readings), now)
    end = "" if reached.startswith("step ") else f"  {reached}"
    over = "  above the cap" if share > 1 else ""
    room = width - LABEL - cell_len(words) - len(end) - len(over) - 2
    cells = min(max(room - 10 if room >= 18 else room, 0), 32)
    full, rest = bar(share, cells, symbols)
    style = kl_style(share)
    body = Text.assemble((full, style), (rest, "dim"), "  " if cells else "", (words, style), (end, "dim"))
    body.append(over, style="bold red")
    body.append_text(_kl_spark(readings, stage, width - LABEL - body.cell_len - 2, symbols))
    return labelled("KL", body, width)


def generic_lines(record: RunState, stage: int, width: int, symbols: Symbols) -> list[Text]:
    """The newest KL on the generic probe, where it is read beside the tasks'."""
    readings = [reading for row in record.rows if row.stage <= stage for reading in row.readings]
    words = format_generic(readings[-1], symbols.plus_minus, record.nouns) if readings else ""
    return [labelled("", Text(words.removeprefix("; ")), width)] if words else []


def law_lines(record: RunState, row: StageState, width: int, symbols: Symbols) -> list[Text]:
    """The forgetting that the law predicts at the newest reading, and the one measured; nothing without a law."""
    words = format_law(record, row)
    return [labelled("law", Text(shorten_end(words, width - LABEL, symbols)), width)] if words else []


def _kl_spark(readings: Sequence[tuple[int, Measured]], stage: int, room: int, symbols: Symbols) -> Text:
    shown = readings[-min(room, 40) :] if room >= 4 else []
    line = spark([share_of_cap(reading) for _, reading in shown], len(shown), symbols, low=0.0)
    before = sum(of < stage for of, _ in shown)
    return Text.assemble("  " if line else "", (line[:before], "dim"), line[before:])


def curve_line(progress: Mapping[str, Any], width: int, symbols: Symbols) -> Text | None:
    """Reward, loss or both as sparklines with their last values; `None` before there are any."""
    curves = [(name, [float(v) for v in progress.get(name) or [] if v is not None]) for name in ("reward", "loss")]
    curves = [(name, values) for name, values in curves if values]
    if not curves:
        return None
    room = min(max((width - LABEL) // len(curves) - 20, 4), 40)
    line = Text()
    for index, (name, values) in enumerate(curves):
        if index:
            line.append(f"   {name:<{LABEL - 3}}", style="dim")
        line.append(spark(values, room, symbols), style="magenta" if name == "reward" else "blue")
        line.append(f" {figure(values[-1]) if is_finite(values[-1]) else 'NaN'}")
    return labelled(curves[0][0], line, width)


def intervention_lines(record: RunState, width: int, symbols: Symbols, most: int = 3) -> list[Text]:
    """The newest interventions, oldest first, with their stage."""
    events = [(row, event) for row in record.rows for event in row.interventions]
    lines = []
    for row, event in events[len(events) - min(most, len(events)) :]:
        style = "red" if event.action == "broken" else "yellow"
        words = clean(f"{row.stage} {row.name}: {describe_intervention(event, row)}", symbols)
        lines.append(labelled("monitor", Text(shorten_end(words, width - LABEL, symbols), style=style), width))
    if len(events) > most > 0:
        lines.append(labelled("", Text(f"{len(events) - most} earlier ones: perdure show", style="dim"), width))
    return lines


def notice_lines(record: RunState, width: int, symbols: Symbols, most: int = 2) -> list[Text]:
    """The newest notices, oldest first, with their stage."""
    words = [
        f"{row.stage} {row.name}: {told}"
        for row in record.rows
        for told in (*(describe_notice(one, record.nouns) for one in row.notices), describe_truncated(row))
        if told
    ]
    shown = [shorten_end(clean(one, symbols), width - LABEL, symbols) for one in words[max(0, len(words) - most) :]]
    more = [labelled("", Text(f"{len(words) - most} earlier ones: perdure show", style="dim"), width)]
    return [labelled("notice", Text(one, style="yellow"), width) for one in shown] + more * (len(words) > most > 0)


def price_lines(record: RunState, width: int, symbols: Symbols, most: int = 2) -> list[Text]:
    """The stages that cannot reach their target within the budget, as priced before the first."""
    refusals = [price.refusal for price in record.prices if price.refusal]
    lines = [
        labelled("price", Text(shorten_end(clean(words, symbols), width - LABEL, symbols), style="red"), width)
        for words in refusals[:most]
    ]
    if len(refusals) > most > 0:
        lines.append(labelled("", Text(f"{len(refusals) - most} more: perdure show", style="dim"), width))
    return lines


def shorten_end(text: str, width: int, symbols: Symbols) -> str:
    """`text` cut at the end where it is wider than `width` cells."""
    if cell_len(text) <= width:
        return text
    cut = Text(text)
    cut.truncate(max(width - 1, 0))
    return cut.plain.rstrip() + symbols.more


def metric_lines(record: RunState, metrics: "Mapping[str, MetricEstimate]", width: int, symbols: Symbols) -> list[Text]:
    """One line a metric: its value in percent, the 95 % interval, the formula (`perdure.eval.metrics`)."""
    if not metrics:
        return []
    from perdure.eval.metrics import FORMULAS

    figures = {key: format_metric(value, metric_in_percent(record, key)) for key, value in metrics.items()}
    widest = max(map(len, figures.values()))
    lines = []
    for key, words in figures.items():
        formula = clean(FORMULAS.get(key, ""), symbols)
        line = Text.assemble(f"{key.replace('_', ' '):<{NAME}}", (words, "bold"))
        together = NAME + widest + GAP + cell_len(formula) <= width
        gap = NAME + widest + GAP - line.cell_len if together else max(min(NAME, width - cell_len(formula)), GAP)
        below = Text(" " * gap + formula, style="dim")
        lines += [Text.assemble(line, below)] if together else [line, below]
    for line in lines:
        line.truncate(width)
    return lines


def format_metric(metric: "MetricEstimate", percent: bool = True) -> str:
    """`61.2 % [55.1, 67.3]`; `n/a` for a metric that this run cannot have; no interval where none is known."""
    if metric.value is None or not is_finite(metric.value):
        return "  n/a"
    words = f"{format_score(metric.value, percent):>5}{' %' if percent else ''}"
    if metric.low is None or metric.high is None:
        return words
    return f"{words} [{format_score(metric.low, percent)}, {format_score(metric.high, percent)}]"
