"""Findings about what a stage learned."""

from collections.abc import Iterator

from perdure.agent.run.diagnostics.finding import Finding, RunFacts, StepCurve
from perdure.agent.run.diagnostics.trend import last_slope
from perdure.agent.run.events import Noticed
from perdure.agent.run.percent import format_change, in_percent
from perdure.agent.run.report import Change
from perdure.agent.run.state import StageState
from perdure.budget.figures import p_value

SIGNIFICANT = 0.05


def broken(facts: RunFacts) -> Iterator[Finding]:
    """An update that ended with a loss, a reward or a KL that is no number."""
    for row in facts.record.rows:
        for event in row.interventions:
            if event.action == "broken":
                text = f"the update broke and went back to {event.target}: {event.reason}"
                yield Finding("broken", row.stage, text, {"target": event.target})


def unrewarded(facts: RunFacts) -> Iterator[Finding]:
    """No sampled answer had a reward above 0."""
    answer = facts.nouns.answer
    for row in facts.record.rows:
        counted, idle = wholly(row, "unrewarded"), wholly(row, "no_success")
        if counted or idle:
            taught = idle or wholly(row, "equal_rewards")
            of = f" ({counted.of} sampled)" if counted else ""
            end = f": {row.method} had nothing to reinforce" if taught else ""
            text = f"no sampled {answer} was right in {steps(row)}{of}{end}"
            yield Finding("unrewarded", row.stage, text, {"steps": row.steps} | ({"of": counted.of} if counted else {}))


def equal_rewards(facts: RunFacts) -> Iterator[Finding]:
    """All groups had equal rewards, and some were above 0."""
    for row in facts.record.rows:
        found = wholly(row, "equal_rewards")
        if found and not wholly(row, "unrewarded"):
            groups = f"all {found.of} groups of {facts.nouns.answer}s"
            text = f"in {groups} the rewards were equal: {row.method} had nothing to compare"
            yield Finding("equal_rewards", row.stage, text, {"of": found.of})


def weights_unchanged(facts: RunFacts) -> Iterator[Finding]:
    """A stage made steps and ended with the weights that it began with."""
    for row in facts.done:
        before = facts.record.row(row.stage - 1)
        if row.steps and before is not None and before.weights_sha256 == row.weights_sha256:
            text = f"nothing of its {steps(row)} was kept: the weights are those from before the stage"
            yield Finding("weights_unchanged", row.stage, text, {"steps": row.steps})


def worse(facts: RunFacts) -> Iterator[Finding]:
    """The stage's own task is worse than before the stage, by a paired test."""
    for row in facts.done:
        change = facts.own_changes.get(row.stage)
        if change is not None and is_significant(change) and change.difference < 0:
            text = f"its own task is worse than before the stage: {_moved(facts, row.name, change)}"
            yield Finding("worse", row.stage, text, _figures(change))


def unmoved(facts: RunFacts) -> Iterator[Finding]:
    """The stage made steps that were kept, and its own task did not move by a paired test.

    Not said where the task was all right before, or another finding says that nothing could be learned.
    """
    explained = {one.stage for find in (unrewarded, equal_rewards, weights_unchanged) for one in find(facts)}
    for row in facts.done:
        change, before = facts.own_changes.get(row.stage), facts.record.row(row.stage - 1)
        start = before.scores.get(row.name) if before is not None else None
        can_move = row.steps and row.stage not in explained and (start is None or start.value < 1)
        if can_move and change is not None and change.p_value is not None and not is_significant(change):
            trend = trend_words(facts.curves.get(row.stage))
            yield Finding(
                "unmoved",
                row.stage,
                f"the task did not move ({_moved(facts, row.name, change)}){trend}",
                _figures(change),
            )


def trend_words(curve: StepCurve | None) -> str:
    """` and the loss was still falling: more steps`, where the interval of its last slope lies below 0."""
    slope = None if curve is None else last_slope(curve.values)
    if curve is None or slope is None:
        return ""
    low, high = slope
    if curve.name == "loss":
        return " and the loss was still falling: more steps" if high < 0 else ""
    return " and the reward was still rising: more steps" if low > 0 else ""


def is_significant(change: Change) -> bool:
    """True at p < 0.05."""
    return change.p_value is not None and change.p_value < SIGNIFICANT


def wholly(row: StageState, name: str) -> Noticed | None:
    """The notice of this name, if it is true of all that it counts."""
    return next((one for one in row.notices if one.notice == name and 0 < one.of == one.count), None)


def steps(row: StageState) -> str:
    """`40 steps`."""
    return f"{row.steps} step{'' if row.steps == 1 else 's'}"


def _moved(facts: RunFacts, name: str, change: Change) -> str:
    words = format_change(change.difference, in_percent(facts.record, [name]))
    return f"{words}, {p_value(change.p_value)}"


def _figures(change: Change) -> dict[str, float | int | None]:
    return {"difference": change.difference, "p_value": change.p_value, "n": change.n}
