"""The parts of the view above and below the table: pure functions from the state of a life to lines of text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text

from perdure.agent.run.events import Measured
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import figure
from perdure.cli.views.describe import intervention_words
from perdure.cli.views.format import duration, finite, kl_words, law_words, share_of_cap, state_words
from perdure.cli.views.retention_table import kl_style
from perdure.cli.views.symbols import Glyphs, bar, clean, shorten, spark

if TYPE_CHECKING:
    from perdure.eval.metrics import MetricEstimate

LABEL, NAME, GAP = 8, 18, 2
STATUS_STYLE = {
    "running": "cyan",
    "finished": "green",
    "interrupted": "yellow",
    "not running": "yellow",
    "refused": "red",
}


def header(title: str, status: str, place: str, seconds: float | None, width: int, glyphs: Glyphs) -> list[Text]:
    """`demo                 stage 2 of 3 · running · 1:42` over a rule."""
    facts = [part for part in (place, status, duration(seconds)) if part]
    right = Text()
    for index, fact in enumerate(facts):
        right.append(f" {glyphs.dot} " if index else "", style="dim")
        right.append(fact, style=STATUS_STYLE.get(fact, ""))
    name = shorten(clean(title, glyphs), max(width - right.cell_len - 2, 8), glyphs)
    line = Text.assemble((name, "bold"), " " * max(width - cell_len(name) - right.cell_len, 1), right)
    line.truncate(width)
    return [line, Text(glyphs.rule * width, style="dim")]


def labelled(label: str, body: Text, width: int) -> Text:
    """One line: a dim label in the margin, then the body, cut at `width`."""
    line = Text.assemble((f"{label:<{LABEL}}", "dim"), body)
    line.truncate(width)
    return line


def stage_lines(row: StageState, progress: Mapping[str, Any], width: int, glyphs: Glyphs, low: bool) -> list[Text]:
    """What is learned and by which method, then why; on a low terminal on one line."""
    method = row.method or progress.get("method")
    body = Text("the base" if row.stage == 0 else clean(row.name, glyphs), style="bold")
    if method:
        body = Text.assemble(body, ("  by ", "dim"), (clean(method, glyphs), "bold cyan"))
    reason = clean(row.reason or "", glyphs)
    if not low:
        why = [labelled("why", Text(shorten_end(reason, width - LABEL, glyphs)), width)] if reason else []
        return [labelled("stage", body, width), *why]
    room = width - LABEL - body.cell_len - 2
    short = "  " + shorten_end(reason, room, glyphs) if reason and room >= 8 else ""
    return [labelled("stage", Text.assemble(body, (short, "dim")), width)]


def _cut(words: str, width: int, glyphs: Glyphs) -> str:
    text = Text(words)
    text.truncate(max(width - 1, 0))
    return text.plain.rstrip() + glyphs.more


def progress_line(progress: Mapping[str, Any], left: float | None, width: int, glyphs: Glyphs) -> Text:
    """`training ━━━━━────  48 of 100 · 0:21 left`, or the phase and its detail."""
    phase = clean(progress.get("phase") or "starting", glyphs)
    step, steps = progress.get("step"), progress.get("max_steps")
    detail = clean(progress.get("detail") or "", glyphs)
    if phase != "training" or not isinstance(step, int) or not isinstance(steps, int) or steps < 1:
        return labelled("now", Text.assemble(phase, (f"  {detail}" if detail else "", "dim")), width)
    words = f"{step} of {steps}" + (f" {glyphs.dot} {duration(left)} left" if left is not None else "")
    room = min(max(width - LABEL - len(phase) - len(words) - 3, 0), 48)
    full, rest = bar(step / steps, room, glyphs)
    return labelled("now", Text.assemble(f"{phase} ", (full, "cyan"), (rest, "dim"), f"  {words}"), width)


def kl_line(record: RunState, stage: int, width: int, glyphs: Glyphs) -> Text:
    """The bar against the cap, the figure, and a sparkline of the readings of this life, earlier stages dim."""
    rows = [row for row in record.rows if row.stage <= stage]
    readings = [(row.stage, reading) for row in rows for reading in row.readings]
    if not readings:
        return labelled("KL", Text("no reading yet", style="dim"), width)
    now = readings[-1][1]
    share = share_of_cap(now)
    words = kl_words(now, glyphs.plus_minus)
    reached = state_words(next(row for row in reversed(rows) if row.readings), now)
    end = "" if reached.startswith("step ") else f"  {reached}"
    over = "  above the cap" if share > 1 else ""
    room = width - LABEL - cell_len(words) - len(end) - len(over) - 2
    cells = min(max(room - 10 if room >= 18 else room, 0), 32)
    full, rest = bar(share, cells, glyphs)
    style = kl_style(share)
    body = Text.assemble((full, style), (rest, "dim"), "  " if cells else "", (words, style), (end, "dim"))
    body.append(over, style="bold red")
    body.append_text(_kl_spark(readings, stage, width - LABEL - body.cell_len - 2, glyphs))
    return labelled("KL", body, width)


def law_lines(record: RunState, row: StageState, width: int, glyphs: Glyphs) -> list[Text]:
    """The forgetting that the law expects at the newest reading, and what was measured; nothing without a law."""
    words = law_words(record, row)
    return [labelled("law", Text(shorten_end(words, width - LABEL, glyphs)), width)] if words else []


def _kl_spark(readings: Sequence[tuple[int, Measured]], stage: int, room: int, glyphs: Glyphs) -> Text:
    shown = readings[-min(room, 40) :] if room >= 4 else []
    line = spark([share_of_cap(reading) for _, reading in shown], len(shown), glyphs, low=0.0)
    before = sum(of < stage for of, _ in shown)
    return Text.assemble("  " if line else "", (line[:before], "dim"), line[before:])


def curve_line(progress: Mapping[str, Any], width: int, glyphs: Glyphs) -> Text | None:
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
        line.append(spark(values, room, glyphs), style="magenta" if name == "reward" else "blue")
        line.append(f" {figure(values[-1]) if finite(values[-1]) else 'NaN'}")
    return labelled(curves[0][0], line, width)


def intervention_lines(record: RunState, width: int, glyphs: Glyphs, most: int = 3) -> list[Text]:
    """The newest interventions of the monitor, oldest first, with their stage."""
    events = [(row, event) for row in record.rows for event in row.interventions]
    lines = []
    for row, event in events[len(events) - min(most, len(events)) :]:
        style = "red" if event.action == "broken" else "yellow"
        words = clean(f"{row.stage} {row.name}: {intervention_words(event, row)}", glyphs)
        lines.append(labelled("monitor", Text(shorten_end(words, width - LABEL, glyphs), style=style), width))
    if len(events) > most > 0:
        lines.append(labelled("", Text(f"{len(events) - most} earlier ones: perdure show", style="dim"), width))
    return lines


def price_lines(record: RunState, width: int, glyphs: Glyphs, most: int = 2) -> list[Text]:
    """The stages that cannot reach their target within the budget, as was told before the life."""
    refusals = [price.refusal for price in record.prices if price.refusal]
    lines = [
        labelled("price", Text(shorten_end(clean(words, glyphs), width - LABEL, glyphs), style="red"), width)
        for words in refusals[:most]
    ]
    if len(refusals) > most > 0:
        lines.append(labelled("", Text(f"{len(refusals) - most} more: perdure show", style="dim"), width))
    return lines


def shorten_end(words: str, width: int, glyphs: Glyphs) -> str:
    """`words` cut at the end where they are wider than `width` cells."""
    return words if cell_len(words) <= width else _cut(words, width, glyphs)


def metric_lines(metrics: "Mapping[str, MetricEstimate]", width: int, glyphs: Glyphs) -> list[Text]:
    """One line a metric: its value in percent, the 95 % interval, the formula (`perdure.eval.metrics`)."""
    if not metrics:
        return []
    from perdure.eval.metrics import FORMULAS

    figures = {key: metric_words(value) for key, value in metrics.items()}
    widest = max(map(len, figures.values()))
    lines = []
    for key, words in figures.items():
        formula = clean(FORMULAS.get(key, ""), glyphs)
        line = Text.assemble(f"{key.replace('_', ' '):<{NAME}}", (words, "bold"))
        together = NAME + widest + GAP + cell_len(formula) <= width
        gap = NAME + widest + GAP - line.cell_len if together else max(min(NAME, width - cell_len(formula)), GAP)
        below = Text(" " * gap + formula, style="dim")
        lines += [Text.assemble(line, below)] if together else [line, below]
    for line in lines:
        line.truncate(width)
    return lines


def metric_words(metric: "MetricEstimate") -> str:
    """`61.2 % [55.1, 67.3]`; `n/a` for a metric that this life cannot have, no interval where none can be told."""
    if metric.value is None or not finite(metric.value):
        return "  n/a"
    words = f"{100 * metric.value:5.1f} %"
    if metric.low is None or metric.high is None:
        return words
    return f"{words} [{100 * metric.low:.1f}, {100 * metric.high:.1f}]"
