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

_FIGURES = ("forgetting", "accuracy", "mass", "base_mass", "base_score")


def merge_shared_prefixes(points: Sequence[LawPoint]) -> tuple[list[LawPoint], tuple[str, ...]]:
    """The points with runs that share a checkpoint joined as one, each checkpoint of a method once; and a note.

    Checkpoints are the same if seed and all measured figures are equal, with a finite forgetting and a KL above zero:
    policies that have not moved, or have diverged, look alike in every run. Of two runs of one method the figures that
    both have are enough, as the same run may be measured with more predictors or with a generic probe; the checkpoint
    that is kept has the figures of both.
    """
    places: dict[tuple[object, ...], list[int]] = {}
    joined = {point.run: point.run for point in points}
    kept: list[LawPoint] = []
    for point in points:
        key = (point.seed, point.predictors.get(FORWARD_KL), point.forgetting)
        near = places.setdefault(key, []) if _tells(point) else []
        same = [place for place in near if _same(kept[place], point)]
        for place in same:
            joined[_first(joined, point.run)] = _first(joined, kept[place].run)
        twin = next((place for place in same if kept[place].method == point.method), None)
        if twin is None:
            near.append(len(kept))
            kept.append(point)
        else:
            kept[twin] = _with_figures_of(kept[twin], point)
    count = sum(run != into for run, into in joined.items())
    return [replace(point, run=_first(joined, point.run)) for point in kept], _note(count)


def _first(joined: dict[str, str], run: str) -> str:
    """The run that represents all that a run was joined with."""
    while joined[run] != run:
        run = joined[run]
    return run


def _tells(point: LawPoint) -> bool:
    """True for a checkpoint that can identify a run."""
    kl = point.predictors.get(FORWARD_KL)
    return _known(kl) and _known(point.forgetting) and kl > 0


def _same(one: LawPoint, other: LawPoint) -> bool:
    """True if all figures that both have are equal and, within a run or of two methods, both have the same ones."""
    here, there = _figures(one), _figures(other)
    alike = all(here[name] == there[name] for name in here.keys() & there.keys())
    again = one.method == other.method and one.run != other.run
    return alike and (again or here.keys() == there.keys())


def _figures(point: LawPoint) -> dict[str, float]:
    """The figures that were measured, by name."""
    every = {name: getattr(point, name) for name in _FIGURES} | dict(point.predictors)
    return {name: value for name, value in every.items() if _known(value)}


def _with_figures_of(one: LawPoint, other: LawPoint) -> LawPoint:
    """`one` with the figures that only `other`, the same checkpoint, has."""
    known, more = _figures(one), _figures(other)
    found = {name: more[name] for name in _FIGURES if name in more and name not in known}
    predictors = {name: value for name, value in more.items() if name not in known and name not in _FIGURES}
    return replace(one, **found, predictors={**one.predictors, **predictors})  # type: ignore[arg-type]


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _note(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    if count == 1:
        return ("1 run shares checkpoints with another and counts as one run with it",)
    return (f"{count} runs share checkpoints with others and count as one run with them",)
