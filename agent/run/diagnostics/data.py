"""Findings about the data: items, answers and scores."""

from collections.abc import Iterator

from perdure.agent.run.diagnostics.finding import Finding, RunFacts
from perdure.agent.run.diagnostics.learning import wholly
from perdure.agent.run.events import Noticed
from perdure.agent.run.notice_words import describe_notice
from perdure.agent.run.state import StageState
from perdure.eval.statistics import wilson

ENOUGH = 30
"""Items of a score below which it counts as thin."""
FEWEST_CHANGED = 6
"""Items that must change before a paired test can give p < 0.05: five that change alike give p = 2/32."""

WHOLE = ("equal_rewards", "no_success", "unrewarded", "truncated")
"""Notices that are findings of their own where they are true of all."""


def damaged(facts: RunFacts) -> Iterator[Finding]:
    """A score file is missing, damaged, or of other items than the base's."""
    if facts.damaged is not None:
        text = f"{facts.damaged}: the intervals and tests that need it are left out; put it back from a copy"
        yield Finding("damaged", 0, text)


def all_truncated(facts: RunFacts) -> Iterator[Finding]:
    """Every sampled answer was cut off."""
    for row in facts.record.rows:
        found = wholly(row, "truncated")
        if found:
            text = f"every sampled {facts.nouns.answer} hit max_completion_length ({found.of} of {found.of})"
            yield Finding("all_truncated", row.stage, text, {"of": found.of})


def answers_truncated(facts: RunFacts) -> Iterator[Finding]:
    """Half of the answers to a task or benchmark or more were cut off when the last row was scored."""
    row = facts.record.rows[-1] if facts.record.rows else None
    if row is not None and row.truncated:
        told = ", ".join(f"{one.truncated} of {one.n} to {name!r}" for name, one in row.truncated.items())
        figures = {name: one.truncated for name, one in row.truncated.items()}
        text = f"answers were cut off at evaluation.max_completion_length: {told}"
        yield Finding("answers_truncated", row.stage, text, figures)


def unscored(facts: RunFacts) -> Iterator[Finding]:
    """Answers that counted 0 without a verdict."""
    for row in facts.record.rows:
        for event in row.unscored:
            count = sum(event.answers.values())
            why = ", ".join(f"{number} {reason}" for reason, number in event.answers.items())
            phase = "in training" if event.phase == "learning" else "when scored"
            answers = f"{facts.nouns.answer}{'' if count == 1 else 's'}"
            text = f"{count} {answers} {facts.nouns.to} {event.task!r} counted 0 without a verdict {phase}: {why}"
            yield Finding("unscored", row.stage, text, dict(event.answers))


def repeated(facts: RunFacts) -> Iterator[Finding]:
    """Half of a source's rows or more were repeats."""
    for row in facts.record.rows:
        found = _mostly_repeated(row)
        if found:
            text = f"{found.count} of {found.of} rows were dropped as repeats"
            yield Finding("repeated", row.stage, text, {"count": found.count, "of": found.of})


def base_perfect(facts: RunFacts) -> Iterator[Finding]:
    """The base already has every held-out item of a task right."""
    for stage, name in enumerate(facts.record.tasks, 1):
        score = facts.base.scores.get(name)
        if score is not None and score.value == 1 and score.stderr in (0, None):
            text = f"the base already has all {score.n} held-out items of {name!r} right"
            yield Finding("base_perfect", stage, text, {"n": score.n})


def at_floor(facts: RunFacts) -> Iterator[Finding]:
    """The base is at 0 on a benchmark, or, by the Wilson interval, not above guessing."""
    for name in facts.record.benchmarks:
        score, guess = facts.base.scores.get(name), facts.guessing.get(name, 0.0)
        if score is None or score.n < 1 or not 0 <= score.value <= 1:
            continue
        low, _ = wilson(score.value * score.n, score.n)
        if score.value == 0 or (guess and low <= guess):
            above = f"not above guessing, {100 * guess:.0f} %" if guess else "which cannot fall"
            text = f"benchmark {name!r} cannot show forgetting: the base has {100 * score.value:.1f} %, {above}"
            yield Finding("at_floor", 0, text, {"value": score.value, "guessing": guess or None, "n": score.n})


def few_items(facts: RunFacts) -> Iterator[Finding]:
    """Scores of fewer than 30 items."""
    thin = {name: score.n for name, score in facts.base.scores.items() if 0 < score.n < ENOUGH}
    if thin:
        told = ", ".join(f"{name} {count}" for name, count in thin.items())
        few = f"fewer than {ENOUGH} items are scored ({told})"
        text = f"{few}: no change can pass the paired test unless {FEWEST_CHANGED} of them change"
        yield Finding("few_items", 0, text, thin)


def notices(facts: RunFacts) -> Iterator[Finding]:
    """The notices that no other finding holds."""
    for row in facts.record.rows:
        for event in row.notices:
            whole = event.notice in WHOLE and event.count == event.of
            if not whole and not (event.notice == "repeated" and _mostly_repeated(row)):
                text = describe_notice(event, facts.nouns)
                yield Finding("notice", row.stage, text, {event.notice: event.count, "of": event.of or None})


def _mostly_repeated(row: StageState) -> Noticed | None:
    found = (one for one in row.notices if one.notice == "repeated" and 0 < one.of <= 2 * one.count)
    return next(found, None)
