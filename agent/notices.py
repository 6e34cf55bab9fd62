"""Data that a stage was given and did not learn from, counted and journaled at its end."""

from collections.abc import Iterator
from typing import Any, get_args

from perdure.agent.life import Life
from perdure.agent.run.events import Notice, Noticed
from perdure.agent.worlds.contract import Counts, Outcome
from perdure.curriculum.schema import Stage
from perdure.curriculum.task import READ, REPEATED, Task

MOSTLY: frozenset[Notice] = frozenset({"equal_rewards", "no_success", "truncated"})
"""Notices of what is usual now and then: made where they are true of half or more."""

WHOLLY: frozenset[Notice] = frozenset({"unrewarded"})
"""Notices made only where they are true of all."""


def log_notices(life: Life, number: int, stage: Stage, task: Task, outcome: Outcome) -> None:
    """Journal what the source of a stage left out, what it had less of than was asked, and what the update counted."""
    for notice, (count, of) in found(stage.task, task, outcome.counts):
        if count and (notice not in MOSTLY or 2 * count >= of) and (notice not in WHOLLY or count == of):
            life.logger.log(Noticed(stage=number, notice=notice, count=count, of=of))


def found(source: Any, task: Task, counts: Counts) -> Iterator[tuple[Notice, tuple[int, int]]]:
    """Each notice, its count, and of how many."""
    read = task.left_out.get(READ, 0)
    known = {name: (count, read if name == REPEATED else 0) for name, count in task.left_out.items()}
    for name, asked, items in (
        ("fewer", getattr(source, "asked", None), task.train),
        ("fewer_heldout", getattr(source, "heldout", None), task.heldout),
    ):
        known[name] = (len(items), asked) if isinstance(asked, int) and len(items) < asked else (0, 0)
    known |= counts
    return ((notice, known[notice]) for notice in get_args(Notice) if notice in known)
