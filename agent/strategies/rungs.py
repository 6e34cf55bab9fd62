"""The rungs of a race: where they are, who remains at each, and what the losers take. Pure arithmetic."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from perdure.budget.errors import ConfigError
from perdure.curriculum.strategies import RaceStrategy


@dataclass(frozen=True)
class Rungs:
    """The rungs of one stage, in `steps` or in `seconds` of each candidate; `remain` of `entrants` go on from each."""

    entrants: int
    remain: tuple[int, ...]
    steps: tuple[int, ...] = ()
    seconds: tuple[float, ...] = ()

    @property
    def lost(self) -> int:
        """The steps that the losers make, unless something ends one of them sooner; 0 with rungs in seconds."""
        return int(losses(self.steps, self.entrants))

    def spent(self, config: RaceStrategy) -> int:
        """The steps by which the stage is shorter, as far as they are known when it begins."""
        return self.lost if config.trials_count else 0


def plan_rungs(config: RaceStrategy, stage: str, steps: Mapping[str, int]) -> Rungs:
    """The rungs of a stage, given the steps that it has by each candidate.

    Raises:
        ConfigError: it has too few steps; says how many it has and what would do.
    """
    least = min(steps.values())
    if config.rung_seconds is not None:
        _refuse_short(stage, steps, 2)
        return Rungs(len(steps), remaining(len(steps), len(config.rung_seconds)), seconds=tuple(config.rung_seconds))
    if config.rungs is not None:
        found = Rungs(len(steps), remaining(len(steps), len(config.rungs)), tuple(config.rungs))
        left = least - found.spent(config)
        if found.steps[-1] >= left:
            taken = f", {found.lost} of which its losers take" if found.spent(config) else ""
            raise ConfigError(
                f"strategy.rungs: the last is at step {found.steps[-1]}, but stage {stage!r} has {least} steps{taken}; "
                "the last rung must lie before the last step that is left. Give earlier rungs, fewer candidates, or "
                "the stage more steps"
            )
        return found
    for entrants in range(len(steps), 1, -1):
        remain = remaining(entrants, usual_rungs(entrants))
        unit = Rungs(entrants, remain, tuple(2**index for index in range(len(remain))))
        first = int(config.share * least / unit.lost)
        if first >= config.min_steps or (entrants == 2 and first):
            return Rungs(entrants, remain, tuple(first * one for one in unit.steps))
    _refuse_short(stage, steps, math.ceil(1 / config.share))
    raise AssertionError("with so many steps two candidates can start")


def _refuse_short(stage: str, steps: Mapping[str, int], needed: int) -> None:
    method = min(steps, key=lambda name: steps[name])
    if steps[method] < needed:
        count = f"{steps[method]} step{'s' if steps[method] > 1 else ''}"
        raise ConfigError(
            f"strategy 'race': stage {stage!r} has {count} by {method}, and a race of two needs {needed}. Give the "
            "stage more steps, or a `method`"
        )


def losses(rungs: Sequence[float], entrants: int) -> float:
    """The steps or seconds to which losers come: those of the rung at which each is out."""
    counts = pairwise((entrants, *remaining(entrants, len(rungs)))) if rungs else ()
    return sum(rung * (before - after) for rung, (before, after) in zip(rungs, counts, strict=True))


def looks_of(config: RaceStrategy, entrants: int) -> int:
    """The number of times that a candidate is measured: at each rung, those who run to it."""
    given = config.rungs or config.rung_seconds
    return entrants + sum(remaining(entrants, len(given) if given else usual_rungs(entrants))[:-1])


def usual_rungs(entrants: int) -> int:
    """The number of rungs where none are set: as often as half of them can be out."""
    return max(1, math.ceil(math.log2(entrants)))


def remaining(entrants: int, rungs: int) -> tuple[int, ...]:
    """Who goes on from each rung: the better half, two at least before the last one, and one from it."""
    found, now = [], entrants
    for rung in range(1, rungs + 1):
        now = 1 if rung == rungs else min(now, max(2, math.ceil(now / 2)))
        found.append(now)
    return tuple(found)


def survivors(ranked: Sequence[str], count: int, sorts: Sequence[Collection[str]]) -> list[str]:
    """The first `count` of the ranked; if they are two or more, one of each sort among them where there is one.

    The best of a sort that is missing takes the place of the last one without whom no other sort is missing.
    """
    kept = list(ranked[:count])
    for sort in sorts if count > 1 else ():
        best = next((one for one in ranked if one in sort), None)
        if best is None or any(one in sort for one in kept):
            continue
        others = [other for other in sorts if other is not sort and any(one in other for one in kept)]
        for out in reversed(kept):
            rest = [one for one in kept if one != out] + [best]
            if all(any(one in other for one in rest) for other in others):
                kept = sorted(rest, key=ranked.index)
                break
    return kept
