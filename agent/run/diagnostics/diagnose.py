"""All findings of a run, the most serious first."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perdure.agent.run.diagnostics import budget, data, learning
from perdure.agent.run.diagnostics.finding import Finding, RunFacts, StepCurve
from perdure.agent.run.report import Change, change_of, damaged_scores, read_items
from perdure.agent.run.state import RunState
from perdure.agent.run.steps import step_table
from perdure.budget.errors import RunError
from perdure.eval.scorefile import read_scores

DIAGNOSTICS: tuple[Callable[[RunFacts], Iterable[Finding]], ...] = (
    data.damaged,
    learning.broken,
    budget.no_update,
    learning.unrewarded,
    learning.equal_rewards,
    learning.weights_unchanged,
    learning.worse,
    budget.above_cap,
    learning.unmoved,
    budget.cap_used_up,
    budget.projected,
    budget.largest_penalty,
    data.all_truncated,
    data.answers_truncated,
    data.unscored,
    data.repeated,
    data.base_perfect,
    data.at_floor,
    data.few_items,
    data.notices,
)
"""The most serious first."""


def diagnose(facts: RunFacts) -> tuple[Finding, ...]:
    """The findings, the most serious first; of one kind by stage."""
    return tuple(finding for find in DIAGNOSTICS for finding in find(facts))


def findings(record: RunState, folder: Path) -> tuple[Finding, ...]:
    """The findings of the run in a folder; what cannot be read there is not looked at."""
    return diagnose(facts_of(record, folder))


def finding_objects(found: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON has them."""
    return [asdict(one) for one in found]


def facts_of(record: RunState, folder: Path) -> RunFacts:
    """The facts of a run, from its record and its files."""
    moved = dict(_own_changes(record, folder))
    unmoved = [stage for stage, change in moved.items() if not learning.is_significant(change)]
    guessing, damaged = dict(_guessing(record, folder)), damaged_scores(record, folder)
    return RunFacts(record, moved, dict(_curves(folder, unmoved)), guessing, damaged)


def _own_changes(record: RunState, folder: Path) -> Iterator[tuple[int, Change]]:
    for row in record.done:
        before = record.row(row.stage - 1)
        items = None if before is None else read_items(before, row.name, folder)
        after = read_items(row, row.name, folder)
        if items is not None and after is not None and items.keys() == after.keys():
            yield row.stage, change_of(items, after)


def _curves(folder: Path, stages: Iterable[int]) -> Iterator[tuple[int, StepCurve]]:
    for stage in stages:
        try:
            steps = step_table(folder, stage)
        except RunError:
            continue
        rewards = _column(steps, "reward")
        rewarded = not all(map(math.isnan, rewards))
        yield stage, StepCurve("reward", rewards) if rewarded else StepCurve("loss", _column(steps, "loss"))


def _column(steps: Any, name: str) -> tuple[float, ...]:
    return tuple(math.nan if value is None else value for value in steps[name].to_pylist())


def _guessing(record: RunState, folder: Path) -> Iterator[tuple[str, float]]:
    """The share that guessing gets of each benchmark whose items are all choices between log-likelihoods."""
    base = record.row(0)
    for name in record.benchmarks if base is not None else ():
        file = base.score_files.get(name) if base is not None else None
        kept = None if file is None else read_scores(folder / file)
        counts = [len(item.details.get("loglikelihoods") or ()) for item in kept.items] if kept else []
        if counts and min(counts) > 1:
            yield name, sum(1 / count for count in counts) / len(counts)
