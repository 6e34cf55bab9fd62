"""`perdure show RUN`: the whole of a run as text, or as one JSON object."""

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from perdure.agent.run.events import Measured
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import figure, format_pair
from perdure.cli.console import reader_may_leave
from perdure.cli.find_run import find_run, in_use, read_run
from perdure.cli.views import panels
from perdure.cli.views.describe import decision_words, intervention_words, price_words
from perdure.cli.views.format import (
    bounded,
    cap_words,
    duration,
    estimate,
    evidence_words,
    kl_words,
    last_reading,
    law_words,
    penalty_words,
    state_words,
)
from perdure.cli.views.live import legend, on_terminal, place, status
from perdure.cli.views.retention_table import MARK, table_blocks
from perdure.cli.views.state import State, with_events
from perdure.cli.views.symbols import ASCII, Glyphs, clean, glyphs_for

if TYPE_CHECKING:
    from perdure.eval.metrics import MetricEstimate

UNBOUNDED = 100_000
LEAST = 20
"""Cells that a sentence is given at least, however narrow the terminal."""


def show(run: Path, as_json: bool) -> None:
    """Print a run: on a terminal within its width, elsewhere plain text with one line a row, however wide.

    Raises:
        RunError: there is no such run, or its journal cannot be read.
    """
    folder = find_run(run)
    record, events = read_run(folder)
    from perdure.agent.run.report import metric_estimates, run_object

    with reader_may_leave():
        if as_json:
            print(json.dumps(strict(run_object(record, folder)), allow_nan=False, indent=1))
            return
        state = replace(with_events(State(), events, folder), gone=not in_use(folder))
        print_page(state, metric_estimates(record, folder), Console(file=sys.stdout, highlight=False))


def print_page(state: State, metrics: "Mapping[str, MetricEstimate]", console: Console) -> None:
    """The page in the width and the characters of the terminal; off a terminal ASCII, unbounded, without a style."""
    terminal = on_terminal(console)
    glyphs = glyphs_for(console.encoding) if terminal else ASCII
    for line in page(state, metrics, glyphs, console.width if terminal else UNBOUNDED):
        if terminal:
            console.print(line)
        else:
            console.file.write(line.plain.rstrip() + "\n")


def strict(value: Any) -> Any:
    """`value` as JSON can hold it: figures that are no numbers become `null`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [strict(part) for part in value]
    return value


def page(state: State, metrics: "Mapping[str, MetricEstimate]", glyphs: Glyphs, width: int) -> list[Text]:
    """Title, table, stages, metrics; a fact that is wider than `width` goes on below where its words begin."""
    facts = (state.title, place(state), status(state), duration(state.elapsed()))
    title = clean(f" {glyphs.dot} ".join(facts), glyphs)
    lines = [Text(title, style="bold"), *refusal_lines(state.record, glyphs, width), Text("")]
    if not state.record.rows:
        return [*lines, Text("nothing has been scored yet")]
    for block in table_blocks(state.record, state.changes, glyphs, width):
        lines += [*block, Text("")]
    lines += [*legend(glyphs, width), *marks_line(state.record, glyphs), Text("")]
    begun = {row.stage for row in state.record.rows}
    to_come = (StageState(price.stage, price.name) for price in state.record.prices if price.stage not in begun)
    for row in (*state.record.rows, *to_come):
        lines += stage_page(state.record, row, glyphs, width)
    summary = panels.metric_lines(metrics, width, glyphs)
    return [*lines, Text("metrics", style="bold"), *summary] if summary else lines


def refusal_lines(record: RunState, glyphs: Glyphs, width: int) -> list[Text]:
    """Why a strict life was not lived; nothing of any other."""
    told = [line.strip() for line in record.refusal.splitlines()] if record.status == "refused" else []
    return [line for words in told for line in hanging("  ", clean(words, glyphs), width)]


def marks_line(record: RunState, glyphs: Glyphs) -> list[Text]:
    """What the marks behind the methods mean, of those that the table has."""
    actions = {event.action for row in record.rows for event in row.interventions}
    told = [f"{getattr(glyphs, mark)} {MEANING[action]}" for action, mark in MARK.items() if action in actions]
    return [Text(", ".join(told), style="dim")] if told else []


MEANING = {
    "rollback": "rolled back",
    "stop": "stopped at the cap",
    "broken": "broken, rolled back",
    "project": "projected to the cap",
    "recover": "recovered from the base",
}
"""Of each intervention."""


def stage_page(record: RunState, row: StageState, glyphs: Glyphs, width: int) -> list[Text]:
    """All that is known of one stage, fact by fact."""
    sign = glyphs.plus_minus
    reading = last_reading(row)
    price = next((one for one in record.prices if one.stage == row.stage), None)
    facts = [
        ("price", "" if price is None else price_words(price, sign)),
        ("method", decision_words(row)),
        ("evidence", evidence_words(row.evidence, sign)),
        ("KL", kl_words(reading, sign) + _other_unit(row, sign) if reading else ""),
        ("cap", cap_words(row)),
        ("penalty", penalty_words(row)),
        ("law", law_words(record, row)),
        ("readings", readings_words(row)),
        *(("monitor", intervention_words(event, row)) for event in row.interventions),
        ("took", _took(row)),
        ("weights", row.weights_sha256 or ""),
    ]
    title = Text(clean("base" if row.stage == 0 else f"stage {row.stage}: {row.name}", glyphs), style="bold")
    told = [hanging(f"  {name:<10}", clean(words, glyphs), width, name in LISTS) for name, words in facts if words]
    return [title, *(line for lines in told for line in lines), Text("")]


LISTS = ("readings", "evidence")
"""The facts that are lists, whose items are kept whole."""


def hanging(label: str, words: str, width: int, listed: bool = False) -> list[Text]:
    """A dim label and its words; where they are wider than `width` they go on below their beginning.

    They are broken at spaces, a list (`listed`) after its commas only; what cannot be broken is left for the terminal.
    """
    room, lines = max(width - len(label), LEAST), [""]
    for part in re.split("(?<=, )" if listed else "(?<= )", words):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > room:
            lines.append("")
        lines[-1] += part
    margins = [label, *[" " * len(label)] * (len(lines) - 1)]
    return [Text.assemble((margin, "dim"), line.rstrip()) for margin, line in zip(margins, lines, strict=True)]


def _took(row: StageState) -> str:
    if row.committed:
        return f"{duration(row.seconds)}, {row.steps} steps"
    return "not finished" if row.readings or row.method else "not begun"


def _other_unit(row: StageState, sign: str) -> str:
    reading = last_reading(row)
    if reading is None:
        return ""
    other, unit = (
        (reading.kl_per_token, "token") if reading.unit == "sequence" else (reading.kl_per_sequence, "sequence")
    )
    return f"; {estimate(other, sign)} nats/{unit}"


def readings_words(row: StageState) -> str:
    """`start 0.100, 20: 0.180, 40: 0.610 above the cap, end (projected) 0.498`, in the unit that the cap counts."""
    return ", ".join(_name_of(row, reading) + _reading_words(reading) for reading in row.readings)


def _name_of(row: StageState, reading: Measured) -> str:
    if reading.entry:
        return "start "
    return f"end ({state_words(row, reading)}) " if reading.final else f"{reading.step}: "


def _reading_words(reading: Measured) -> str:
    """`0.260`, `0.610 above the cap`, with a `confidence` `0.490 (at most 0.510) above the cap`."""
    if reading.within:
        return figure(reading.kl.value)
    _, value, most = format_pair(reading.cap, reading.kl.value, reading.upper_bound)
    return f"{value} (at most {most}) above the cap" if bounded(reading) else f"{value} above the cap"
