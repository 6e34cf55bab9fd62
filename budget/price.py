"""The price of a stage before it is trained: the KL floor of its target accuracy, as the budget counts KL.

If the base puts mass a on right answers and the policy is to put mass b > a there, its KL from the base on the task's
prompts is at least `a ln(a/b) + (1 - a) ln((1 - a)/(1 - b))` (see `perdure.budget.law.floor`), with a and b pooled over
prompts. As the KL is jointly convex, this never exceeds the mean of the floors of single prompts, so it is a valid
bound for a mean target. The floors of single prompts are tighter, but biased upwards if estimated from few samples.

Masses are of answers sampled at temperature 1. Under greedy evaluation a policy can reach the same accuracy with less
KL, as the likeliest answer needs no mass near 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from perdure.budget.allocation import stage_cap
from perdure.budget.config import BudgetConfig, Prompts, Unit
from perdure.budget.estimate import Estimate
from perdure.budget.figures import format_pair

CAP_ROUNDING = 1e-9
"""A required KL above its cap by up to this share of the cap still fits."""

ADDED_ROUNDING = 1e-12
"""An added KL up to this share of the required KL is a rounding error of their difference."""


@dataclass(frozen=True)
class StagePrice:
    """The price of one stage before the run; `None`: unknown. KL in nats.

    Attributes:
        base_rate: mean share of right answers, with its standard error over prompts; `n` counts prompts.
        target: the accuracy that the stage is to reach.
        floor: the least KL per answer on the stage's own prompts, with a 95 % interval from that of the rate.
        required_kl: the least KL at the end of the stage, as the budget counts it.
        remaining_kl: the most KL that the stage may end with.
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
        """True if the stage can reach its target within the budget, as far as is known."""
        return self.target is None or fits(self.required_kl, self.remaining_kl)

    @property
    def refusal(self) -> str | None:
        """The reason why the stage cannot fit, in one line; `None` if it can."""
        if self.fits or self.required_kl is None:
            return None
        return does_not_fit(self.stage, self.required_kl, self.remaining_kl)


def target_floor(rate: float, target: float) -> float:
    """The least KL, in nats per answer, that raises the base's `rate` to `target`; 0 if it is there already.

    Raises:
        ValueError: a rate or target that is not a probability.
    """
    import numpy as np

    from perdure.budget.law.floor import kl_floor

    floor = float(kl_floor(np.array([rate]), np.array([target]))[0])
    return 0.0 if rate >= target else floor


def floor_interval(low: float, high: float, target: float) -> tuple[float, float]:
    """The floors at the ends of an interval of the base's rate, lowest first."""
    return target_floor(high, target), target_floor(low, target)


def in_unit(floor: float, positions: float, unit: Unit) -> float:
    """A floor in the budget's unit; `positions` is the mean length of the base's texts on the prompts.

    The KL per token is all nats divided by all positions, so dividing by the mean length is exact. It bounds the
    monitor's reading if its texts are whole answers: truncated ones have less KL.
    """
    return floor if unit == "sequence" else floor / positions


def required_kls(task_kls: Sequence[float | None], prompts: Prompts) -> list[float | None]:
    """The least KL at the end of each stage, as the budget counts it, if every target is kept.

    `task_kls` is each stage's floor on its own prompts, in the budget's unit; `None`: unknown. With prompts of the
    tasks `seen` the KL is the mean over tasks, and an unknown one counts 0, so that the mean stays a bound; of `both`
    it is one, too. On `generic` prompts all are unknown: no target is about them.
    """
    if prompts == "generic":
        return [None] * len(task_kls)
    if prompts == "task":
        return list(task_kls)
    known = [0.0 if one is None else one for one in task_kls]
    means = [sum(known[:stage]) / stage for stage in range(1, len(task_kls) + 1)]
    return [None if all(one is None for one in task_kls[: stage + 1]) else mean for stage, mean in enumerate(means)]


def entry_kls(required: Sequence[float | None], prompts: Prompts) -> list[float]:
    """The KL at the start of each stage t, if every stage before used just its required KL.

    With prompts of the tasks `seen`, or `both`, that is (t - 1)/t of the KL before, as the policy has not moved on the
    prompts of the new task; with those of the `task` it is 0.
    """
    if prompts not in ("seen", "both"):
        return [0.0] * len(required)
    return [(required[index - 1] or 0.0) * index / (index + 1) if index else 0.0 for index in range(len(required))]


def added_kls(required: Sequence[float | None], floors: Sequence[float | None], prompts: Prompts) -> list[float | None]:
    """The KL that each stage t adds to that at its start; `allocation: floor` shares the budget in this proportion.

    That is required[t] - required[t - 1] (t - 1)/t: task_kls[t]/t with prompts of the tasks `seen`, task_kls[t] with
    those of the `task`. `floors` are those of whole answers. `None`: unknown, as where a stage has a floor of which the
    budget counts nothing.
    """
    found: list[float | None] = []
    for kl, entry, floor in zip(required, entry_kls(required, prompts), floors, strict=True):
        more = 0.0 if kl is None or kl - entry <= ADDED_ROUNDING * kl else kl - entry
        found.append(None if kl is None or floor is None or (floor > 0 and not more) else more)
    return found


def stage_caps(config: BudgetConfig, required: Sequence[float | None], floors: Sequence[float | None]) -> list[float]:
    """The cap of each stage, if every stage before used just its required KL; `floors` as in `added_kls`.

    Under `floor` all stages fit if, and only if, the sum of what they add is within the budget. Under `greedy` it is
    enough that every required KL is: only there does the dilution of early KL by later tasks count.
    """
    parts, stages = added_kls(required, floors, config.prompts), len(required)
    return [
        stage_cap(config, spent=min(entry, config.kl), stage=stage, stages=stages, floors=parts)
        for stage, entry in enumerate(entry_kls(required, config.prompts), 1)
    ]


def fits(required_kl: float | None, cap: float) -> bool:
    """True if a stage can end within its cap, or its required KL is unknown."""
    return required_kl is None or required_kl <= cap * (1 + CAP_ROUNDING)


def does_not_fit(stage: int, required_kl: float, cap: float) -> str:
    """`stage 3 needs at least 0.298 nats, 0.100 remain`."""
    shown_cap, shown_kl = format_pair(cap, required_kl)
    return f"stage {stage} needs at least {shown_kl} nats, {shown_cap} remain"
