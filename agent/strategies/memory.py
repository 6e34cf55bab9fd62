"""Memory of races: what earlier stages of a run told about candidates, for a stage whose task is of the same kind.

The kinds are those of `bandit`. The difference of the values of two candidates is a random walk over the stages of a
kind, and what is known of it a normal distribution (a scalar Kalman filter; Kalman, 1960): at first 0 ± `PRIOR_SD`;
every race that measured both observes it, at the last rung that both reached, with the standard errors there; and from
each stage of the kind to the next it moves by `STAGE_SD`. So what was not compared for some stages is doubtful again.

The leader is the candidate whose smallest expected lead over another is the largest. The `chance` of another is that of
being worth more than the leader in the coming stage. Candidates never raced against the leader have an even chance.
A race that is held all the same is decided by the differences that its last rung then leads to.

Nothing is learned of a race in which no answer was right: its values say only who moved least. Nor of a candidate that
broke, or whose standard error is not known. All is read from the record, so that a resumed run remembers the same.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import NormalDist
from typing import Any

from perdure.agent.run.state import RunState, StageState
from perdure.agent.strategies.kinds import KIND, STAGE_SD, task_kind

RUNGS = "rungs"
"""Key of the evidence: the figures of each rung of a race."""

PRIOR_SD = 0.1
"""Standard deviation of the difference of two candidates before any race: about that of those logged."""


@dataclass(frozen=True)
class Difference:
    """A normal distribution over a difference of values, after so many `races`."""

    mean: float = 0.0
    sd: float = PRIOR_SD
    races: int = 0

    def observed(self, value: float, stderr: float) -> "Difference":
        """The posterior after one more race: precisions add, and means are weighted by them."""
        weight = self.sd**2 / (self.sd**2 + stderr**2)
        return Difference(self.mean + weight * (value - self.mean), self.sd * math.sqrt(1 - weight), self.races + 1)

    def a_stage_later(self) -> "Difference":
        """The same for the next stage of the kind."""
        return Difference(self.mean, math.hypot(self.sd, STAGE_SD), self.races)

    @property
    def chance(self) -> float:
        """The probability that the difference is above 0."""
        return NormalDist().cdf(self.mean / self.sd)

    @property
    def is_clear(self) -> bool:
        """True if the difference is above 0 by more than its standard deviation."""
        return self.mean > self.sd


def leader(methods: Sequence[str], difference: Callable[[str, str], Difference]) -> str:
    """The candidate that is expected above all others; of equal ones the first."""
    return max(methods, key=lambda one: min(difference(one, other).mean for other in methods if other != one))


@dataclass(frozen=True)
class Memory:
    """The candidates `raced` in a kind of task, their leader, and the value of every candidate less every other."""

    kind: str
    raced: tuple[str, ...]
    leader: str
    pairs: Mapping[tuple[str, str], Difference]

    @property
    def others(self) -> dict[str, Difference]:
        """The value of every other candidate, also those never raced, less the leader's."""
        return {method: one for (method, other), one in self.pairs.items() if other == self.leader}

    def chance(self, method: str) -> float:
        """The chance to be worth more than the leader; of the leader, to be worth more than the likeliest other."""
        if method != self.leader:
            return self.others[method].chance
        return 1 - max(self.others[other].chance for other in self.raced if other != self.leader)

    def in_question(self, starters: Sequence[str], least: float) -> list[str]:
        """The leader, and of the `starters` and those raced who has the `least` chance, the likeliest first."""
        offered = dict.fromkeys([*starters, *self.raced])
        found = [method for method in offered if method != self.leader and self.chance(method) >= least]
        return [self.leader, *sorted(found, key=self.chance, reverse=True)]

    def weighed(self, one: str, other: str, value: float, stderr: float | None) -> Difference:
        """The difference of two candidates by their `value`s in a race and by what is remembered.

        A difference whose standard error is not known tells nothing.
        """
        remembered = self.pairs[one, other]
        return remembered if stderr is None else remembered.observed(value, stderr)

    def figures(self, method: str) -> dict[str, float | None]:
        """The journaled figures of a candidate; none of one that was never raced."""
        if method not in self.raced:
            return {}
        if method == self.leader:
            return {"chance": self.chance(method)}
        one = self.others[method]
        return {"chance": one.chance, "difference": one.mean, "difference_sd": one.sd, "races": one.races}


def races_on(record: RunState, demonstrations: bool) -> bool:
    """True if an earlier race was on a task with demonstrations, or without, as the next one."""
    kinds = {task_kind(demonstrations, rate) for rate in (0.0, 1.0)}
    return any(RUNGS in row.evidence and row.evidence.get(KIND) in kinds for row in record.rows)


def remembered(record: RunState, kind: str, methods: Sequence[str]) -> Memory | None:
    """The memory of the races of a kind; `None` if none told anything of two of the methods."""
    pairs = {one: difference(record, kind, *one) for one in permutations(methods, 2)}
    raced = tuple(method for method in methods if any(pairs[one].races for one in pairs if one[0] == method))
    if not raced:
        return None
    return Memory(kind, raced, leader(raced, lambda one, other: pairs[one, other]), pairs)


def difference(record: RunState, kind: str, method: str, other: str) -> Difference:
    """The value of a method less that of another in the next stage of a kind."""
    found = Difference()
    for row in record.rows:
        if row.evidence.get(KIND) == kind:
            told = told_by(row, method, other)
            found = (found if told is None else found.observed(*told)).a_stage_later()
    return found


def told_by(row: StageState, method: str, other: str) -> tuple[float, float] | None:
    """The difference of two candidates at the last rung of a race that measured both, and its standard error."""
    rungs = [rung["figures"] for rung in row.evidence.get(RUNGS, ())]
    if not any(one.get("before") or one.get("gain") for figures in rungs for one in figures.values()):
        return None
    for figures in reversed(rungs):
        one, two = figures.get(method, {}), figures.get(other, {})
        if _known(one) and _known(two):
            return one["value"] - two["value"], math.hypot(one["value_stderr"], two["value_stderr"])
    return None


def _known(figures: Mapping[str, Any]) -> bool:
    return all(figures.get(name) is not None for name in ("value", "value_stderr", "gain_stderr"))
