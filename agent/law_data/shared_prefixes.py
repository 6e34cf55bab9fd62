"""Merges runs with shared prefixes: with a constant learning rate a short run is the beginning of a longer one.

Their checkpoints are equal to the last bit. As two runs, one would be held out while the law is fitted on the other.
So it is with two methods that do the same in a stage, as `sft` and `replay` do in the first: their checkpoints are of
each of them, and of one run, which is held out whole.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

from perdure.agent.law_data.source import LawPoint
from perdure.budget.law.points import FORWARD_KL

_CheckpointKey = tuple[object, ...]


def merge_shared_prefixes(points: Sequence[LawPoint]) -> tuple[list[LawPoint], tuple[str, ...]]:
    """The points with runs that share a checkpoint joined as one, each checkpoint of a method once; and a note.

    Checkpoints are the same if seed and all measured figures are equal, with a finite forgetting and a KL above zero:
    policies that have not moved, or have diverged, look alike in every run.
    """
    run_of: dict[_CheckpointKey, str] = {}
    seen: set[tuple[str, _CheckpointKey]] = set()
    joined = {point.run: point.run for point in points}
    kept = []
    for point in points:
        figures = _figures(point)
        if figures is not None:
            joined[_first(joined, point.run)] = _first(joined, run_of.setdefault(figures, point.run))
            if (point.method, figures) in seen:
                continue
            seen.add((point.method, figures))
        kept.append(point)
    count = sum(run != into for run, into in joined.items())
    return [replace(point, run=_first(joined, point.run)) for point in kept], _note(count)


def _first(joined: dict[str, str], run: str) -> str:
    """The run that represents all that a run was joined with."""
    while joined[run] != run:
        run = joined[run]
    return run


def _figures(point: LawPoint) -> _CheckpointKey | None:
    """All measured figures; `None` for a checkpoint that cannot identify a run."""
    kl = point.predictors.get(FORWARD_KL)
    if not _known(kl) or not _known(point.forgetting) or kl <= 0:
        return None
    measured = {
        **{"forgetting": point.forgetting, "accuracy": point.accuracy, "mass": point.mass},
        **{"base_mass": point.base_mass, "base_score": point.base_score},
        **point.predictors,
    }
    known = sorted((name, value) for name, value in measured.items() if _known(value))
    return (point.seed, *known)


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _note(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    if count == 1:
        return ("1 run shares checkpoints with another and counts as one run with it",)
    return (f"{count} runs share checkpoints with others and count as one run with them",)
