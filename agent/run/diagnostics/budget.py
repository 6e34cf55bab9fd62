"""Findings about the budget."""

from collections.abc import Iterator

from perdure.agent.run.diagnostics.finding import Finding, RunFacts
from perdure.agent.run.events import Measured
from perdure.agent.run.percent import format_score, in_percent
from perdure.agent.run.state import StageState
from perdure.budget.figures import figure, format_pair
from perdure.budget.penalty import MAX_WEIGHT

USED_UP = 0.99
"""The share of the run's cap from which it counts as used up; a projection ends within 1 % of it."""


def no_update(facts: RunFacts) -> Iterator[Finding]:
    """A stage was not begun, since no budget was left."""
    for row in facts.record.rows:
        if any(event.target == "no update" for event in row.interventions):
            yield Finding("no_update", row.stage, "nothing was trained: no budget was left when the stage began")


def cap_used_up(facts: RunFacts) -> Iterator[Finding]:
    """The first stage that ended with 99 % of the run's cap or more, if stages were to come."""
    for row in facts.done:
        entry, end = _entry(row), _end(row)
        later = len(facts.record.tasks) - row.stage
        if later and entry and end and entry.cap > 0 and end.upper_bound >= USED_UP * entry.cap:
            cap, kl = format_pair(entry.cap, end.upper_bound)
            unit = facts.nouns.unit(end.unit)
            rest = f"{later} more stage{'' if later == 1 else 's'} {'was' if later == 1 else 'were'} to come"
            text = f"the cap was used up here, KL {kl} of {cap} nats/{unit}, and {rest}"
            yield Finding("cap_used_up", row.stage, text, {"kl": end.upper_bound, "cap": entry.cap})
            return


def above_cap(facts: RunFacts) -> Iterator[Finding]:
    """The run's last policy is above its cap."""
    row = facts.done[-1] if facts.done else None
    end = None if row is None else _end(row)
    if row is not None and end is not None and not end.within:
        cap, kl = format_pair(end.cap, end.upper_bound)
        text = f"the policy ends above the cap: KL {kl} of {cap} nats/{facts.nouns.unit(end.unit)}"
        yield Finding("above_cap", row.stage, text, {"kl": end.upper_bound, "cap": end.cap})


def projected(facts: RunFacts) -> Iterator[Finding]:
    """The projection to the cap gave up a tenth or more of what the update had learned of the stage's own task."""
    for row in facts.done:
        before = facts.record.row(row.stage - 1)
        scores = (
            None if before is None else before.scores.get(row.name),
            row.ends.get("beyond", {}).get(row.name),
            row.scores.get(row.name),
        )
        start, beyond, end = (None if one is None else one.value for one in scores)
        if start is None or beyond is None or end is None or not beyond > start:
            continue
        lost = (beyond - end) / (beyond - start)
        if lost >= 0.1:
            percent = in_percent(facts.record, [row.name])
            cost, learned = (format_score(one, percent) for one in (beyond - end, beyond - start))
            what = f"{cost} of the {learned}{' points' if percent else ''} that it had learned"
            text = f"going back to the cap cost {what} of its own task"
            yield Finding("projected", row.stage, text, {"lost": beyond - end, "learned": beyond - start})


def largest_penalty(facts: RunFacts) -> Iterator[Finding]:
    """The weight of the KL term ended at its largest."""
    for row in facts.done:
        if row.penalty_weight is not None and row.penalty_weight >= MAX_WEIGHT:
            text = f"the penalty's weight ended at its largest, {figure(MAX_WEIGHT)}"
            yield Finding("largest_penalty", row.stage, text, {"weight": row.penalty_weight})


def _entry(row: StageState) -> Measured | None:
    return next((reading for reading in row.readings if reading.entry), None)


def _end(row: StageState) -> Measured | None:
    return next((reading for reading in row.readings if reading.final), None)
