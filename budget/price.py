"""What a stage takes at least, before it is lived: the KL floor of a target accuracy, in the budget's own measure.

If the base puts mass a on right answers to a task and the policy is to put mass b > a there, then its KL from the base
on the task's prompts is at least `a ln(a/b) + (1 - a) ln((1 - a)/(1 - b))` (see `perdure.budget.law.floor`). Here a
and b are the masses pooled over prompts. The KL is jointly convex, so that this never exceeds the mean of the floors of
single prompts: it is a valid bound for a mean target, whatever the prompts are. The floors of single prompts would be
the tighter bound, but from a few samples each they are biased upwards, for the same reason.

A mass is that of sampled answers, at temperature 1. A policy that is examined greedily can reach the same accuracy with
less KL, since the likeliest answer needs no mass near 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from perdure.budget.allocation import stage_cap
from perdure.budget.config import BudgetConfig, Prompts, Unit
from perdure.budget.estimate import Estimate
from perdure.budget.figures import against

ROUNDING = 1e-9
"""A need that passes what is left by this share of it fits still."""

NOTHING = 1e-12
"""What a stage adds, as a share of its need, up to which it is the rounding of a difference."""


@dataclass(frozen=True)
class StagePrice:
    """What is known of one stage before the run; `None` where it cannot be known. KL in nats.

    Attributes:
        base_rate: mean share of right answers, with its standard error over prompts; `n` counts prompts.
        target: the accuracy that is asked of the stage.
        floor: the least KL of a whole answer on the stage's own prompts, and its interval (95 %, from the rate's).
        required_kl: the least KL at the end of the stage, as the budget counts it.
        remaining_kl: the most that the budget lets it end with.
    """

    stage: int
    name: str
    base_rate: Estimate | None
    target: float | None
    floor: float | None
    floor_interval: tuple[float, float] | None
    required_kl: float | None
    remaining_kl: float

    @property
    def fits(self) -> bool:
        """Whether the stage can reach its target within the budget, as far as is known."""
        return self.target is None or fits(self.required_kl, self.remaining_kl)

    @property
    def refusal(self) -> str | None:
        """Why it cannot fit, in one line."""
        if self.fits or self.required_kl is None:
            return None
        return does_not_fit(self.stage, self.required_kl, self.remaining_kl)


def target_floor(rate: float, target: float) -> float:
    """The least KL, in nats a whole answer, that takes the base's `rate` to `target`; 0 where it is there already.

    Raises:
        ValueError: a rate or target that is not a probability.
    """
    import numpy as np

    from perdure.budget.law.floor import kl_floor

    floor = float(kl_floor(np.array([rate]), np.array([target]))[0])
    return 0.0 if rate >= target else floor


def floor_interval(low: float, high: float, target: float) -> tuple[float, float]:
    """The floors at the two ends of an interval of the base's rate: the higher the rate, the lower the floor."""
    return target_floor(high, target), target_floor(low, target)


def in_unit(floor: float, positions: float, unit: Unit) -> float:
    """A floor in the unit that the budget counts; `positions` is the mean length of the base's texts on the prompts.

    The KL a token is a ratio, all nats by all positions, so that dividing by the mean length is exact. It bounds what
    the monitor reads as long as its texts are whole answers: of answers that are cut it reads less.
    """
    return floor if unit == "sequence" else floor / positions


def needs(own: Sequence[float | None], prompts: Prompts) -> list[float | None]:
    """The least KL that stands at the end of each stage, as the budget counts it, if every target is kept.

    `own` is what each stage takes on its own prompts, in the budget's unit; `None` where that cannot be told. With
    prompts of the tasks `seen` the KL is the mean over them, and a task of which nothing can be told counts 0 there,
    which leaves the mean a bound. On `generic` prompts nothing can be told: no target is about them.
    """
    if prompts == "generic":
        return [None] * len(own)
    if prompts == "task":
        return list(own)
    known = [0.0 if one is None else one for one in own]
    means = [sum(known[:stage]) / stage for stage in range(1, len(own) + 1)]
    return [None if all(one is None for one in own[: stage + 1]) else mean for stage, mean in enumerate(means)]


def entries(needed: Sequence[float | None], prompts: Prompts) -> list[float]:
    """The KL that each stage is entered with, if every stage before it took just what it needs.

    With prompts of the tasks `seen` it is what stood before, diluted by the prompts of the stage's own task, where the
    base is still the base: (t - 1)/t of it. On its `task`'s prompts a stage is entered with none.
    """
    if prompts != "seen":
        return [0.0] * len(needed)
    return [(needed[index - 1] or 0.0) * index / (index + 1) if index else 0.0 for index in range(len(needed))]


def added(needed: Sequence[float | None], floors: Sequence[float | None], prompts: Prompts) -> list[float | None]:
    """What each stage adds to the KL that it is entered with: what `allocation: floor` shares by.

    That is need[t] - need[t - 1] (t - 1)/t, which is own[t]/t with prompts of the tasks `seen` and own[t] with those of
    the `task`. `floors` are those of whole answers; a stage with a floor of which the budget counts nothing is one
    whose own part cannot be told, and `None`.
    """
    found: list[float | None] = []
    for need, entry, floor in zip(needed, entries(needed, prompts), floors, strict=True):
        more = 0.0 if need is None or need - entry <= NOTHING * need else need - entry
        found.append(None if need is None or floor is None or (floor > 0 and not more) else more)
    return found


def lefts(config: BudgetConfig, needed: Sequence[float | None], floors: Sequence[float | None]) -> list[float]:
    """The most KL that each stage may end with, if every stage before it took just what it needs; `floors` as `added`.

    Under `floor` all stages fit if, and only if, all that they add comes to no more than the budget. That asks more
    than every need being within it, which is enough under `greedy`: the allocation does not count on the dilution of
    what an early stage takes by the tasks of later ones.
    """
    parts, stages = added(needed, floors, config.prompts), len(needed)
    return [
        stage_cap(config, spent=min(entry, config.kl), stage=stage, stages=stages, floors=parts)
        for stage, entry in enumerate(entries(needed, config.prompts), 1)
    ]


def fits(need: float | None, left: float) -> bool:
    """Whether a stage can end within what is left for it; a need that cannot be told is no reason why not."""
    return need is None or need <= left * (1 + ROUNDING)


def does_not_fit(stage: int, need: float, left: float) -> str:
    """`stage 3 needs at least 0.298 nats, 0.100 are left`."""
    shown_left, shown_need = against(left, need)
    return f"stage {stage} needs at least {shown_need} nats, {shown_left} are left"
