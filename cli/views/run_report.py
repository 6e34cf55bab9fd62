"""A run as text: title, table, each stage fact by fact, metrics."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from perdure.agent.run.events import Measured
from perdure.agent.run.notice_words import describe_notice
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import format_pair, nats
from perdure.cli.views import panels
from perdure.cli.views.describe import (
    describe_asked,
    describe_decision,
    describe_groups,
    describe_intervention,
    describe_price,
    describe_resumed,
    describe_truncated,
    describe_unscored,
)
from perdure.cli.views.finding_lines import finding_lines
from perdure.cli.views.format import (
    bounded,
    format_cap,
    format_duration,
    format_estimate,
    format_evidence,
    format_generic,
    format_kl,
    format_law,
    format_penalty,
    last_reading,
    name_state,
)
from perdure.cli.views.live import legend, place, status
from perdure.cli.views.retention_table import MARK, table_blocks
from perdure.cli.views.state import State
from perdure.cli.views.symbols import Symbols, clean
from perdure.cli.views.wrapped import hanging
from perdure.curriculum.worlds.nouns import Nouns

if TYPE_CHECKING:
    from perdure.agent.run.diagnostics.finding import Finding
    from perdure.eval.metrics import MetricEstimate

MEANING = {
    "rollback": "rolled back",
    "stop": "stopped at the cap",
    "broken": "broken, rolled back",
    "project": "projected to the cap",
    "recover": "recovered from the base",
    "average": "averaged with earlier weights",
}
"""The legend of each intervention."""

LISTS = ("readings", "evidence")
"""Facts that are lists, whose items stay whole."""


def run_report(
    state: State,
    metrics: "Mapping[str, MetricEstimate]",
    symbols: Symbols,
    width: int,
    findings: "Sequence[Finding]" = (),
) -> list[Text]:
    """All lines; a fact wider than `width` goes on below its beginning. The `findings` come last."""
    facts = (state.heading, place(state), status(state), format_duration(state.elapsed()))
    title = clean(f" {symbols.dot} ".join(facts), symbols)
    lines = [
        Text(title, style="bold"),
        *_refusal(state.record, symbols, width),
        *_resumed(state.record, symbols, width),
    ]
    lines += [Text("")]
    if not state.record.rows:
        return [*lines, Text("nothing has been scored yet")]
    for block in table_blocks(state.record, state.changes, symbols, width):
        lines += [*block, Text("")]
    lines += [
        *legend(symbols, width),
        *marks_line(state.record, symbols),
        *group_lines(state.record, symbols, width),
        Text(""),
    ]
    begun = {row.stage for row in state.record.rows}
    to_come = (StageState(price.stage, price.name) for price in state.record.prices if price.stage not in begun)
    for row in (*state.record.rows, *to_come):
        lines += _stage(state.record, row, symbols, width)
    summary = panels.metric_lines(state.record, metrics, width, symbols)
    lines += [Text("metrics", style="bold"), *summary] if summary else []
    told = finding_lines(state.record, findings, symbols, width)
    return [*lines, *([Text("")] if summary else []), *told] if told else lines


def _refusal(record: RunState, symbols: Symbols, width: int) -> list[Text]:
    """Why a strict run was refused; nothing for any other."""
    reasons = [line.strip() for line in record.refusal.splitlines()] if record.status == "refused" else []
    return [line for reason in reasons for line in hanging("  ", clean(reason, symbols), width)]


def _resumed(record: RunState, symbols: Symbols, width: int) -> list[Text]:
    """What was other than at the beginning, when the run was resumed."""
    told = describe_resumed(record.edited, record.differs)
    return [line for fact in told for line in hanging("  resumed ", clean(fact, symbols), width)]


def marks_line(record: RunState, symbols: Symbols) -> list[Text]:
    """The legend of the marks that stand behind methods in the table."""
    actions = {event.action for row in record.rows for event in row.interventions}
    marks = [f"{getattr(symbols, mark)} {MEANING[action]}" for action, mark in MARK.items() if action in actions]
    return [Text(", ".join(marks), style="dim")] if marks else []


def group_lines(record: RunState, symbols: Symbols, width: int) -> list[Text]:
    """The groups of which the figure and its test weigh items differently."""
    told = describe_groups(record)
    return hanging("", clean(told, symbols), width) if told else []


def _stage(record: RunState, row: StageState, symbols: Symbols, width: int) -> list[Text]:
    """All that is known of one stage, fact by fact."""
    sign, nouns = symbols.plus_minus, record.nouns
    reading = last_reading(row)
    price = next((one for one in record.prices if one.stage == row.stage), None)
    facts = [
        ("price", "" if price is None else describe_price(price, sign, nouns)),
        ("method", describe_decision(row)),
        ("evidence", format_evidence(row.evidence, sign)),
        ("KL", _kls(reading, sign, nouns) if reading else ""),
        ("cap", format_cap(row, nouns)),
        ("penalty", format_penalty(row)),
        ("law", format_law(record, row)),
        ("readings", format_readings(row)),
        *(("monitor", describe_intervention(event, row)) for event in row.interventions),
        *(("notice", describe_notice(event, nouns)) for event in row.notices),
        *((f"{nouns.answer}s", describe_unscored(event, nouns)) for event in row.unscored),
        ("answers", describe_truncated(row)),
        ("items", describe_asked(record, row)),
        ("took", _took(row)),
        ("weights", row.weights_sha256 or ""),
    ]
    title = Text(clean("base" if row.stage == 0 else f"stage {row.stage}: {row.name}", symbols), style="bold")
    blocks = [hanging(f"  {name:<10}", clean(fact, symbols), width, name in LISTS) for name, fact in facts if fact]
    return [title, *(line for lines in blocks for line in lines), Text("")]


def _took(row: StageState) -> str:
    if row.committed:
        return f"{format_duration(row.seconds)}, {row.steps} steps"
    return "not finished" if row.readings or row.method else "not begun"


def _kls(reading: Measured, sign: str, nouns: Nouns) -> str:
    """The KL that counts, in the other unit, and on the generic probe."""
    return format_kl(reading, sign, nouns) + _other_unit(reading, sign, nouns) + format_generic(reading, sign, nouns)


def _other_unit(reading: Measured, sign: str, nouns: Nouns) -> str:
    if nouns.one_unit:
        return ""
    by_token = reading.unit == "sequence"
    other = reading.in_unit("token" if by_token else "sequence")
    return f"; {format_estimate(other, sign)} nats/{nouns.token if by_token else nouns.sequence}"


def format_readings(row: StageState) -> str:
    """`start 0.100, 20: 0.180, 40: 0.610 above the cap, end (projected) 0.498`, in the unit that the cap counts."""
    return ", ".join(_name(row, reading) + _kl(reading) for reading in row.readings)


def _name(row: StageState, reading: Measured) -> str:
    if reading.entry:
        return "start "
    return f"end ({name_state(row, reading)}) " if reading.final else f"{reading.step}: "


def _kl(reading: Measured) -> str:
    """`0.260`, `0.610 above the cap`, with a `confidence` `0.490 (at most 0.510) above the cap`."""
    if reading.within:
        return nats(reading.kl.value)
    _, value, most = format_pair(reading.cap, reading.kl.value, reading.upper_bound)
    return f"{value} (at most {most}) above the cap" if bounded(reading) else f"{value} above the cap"
