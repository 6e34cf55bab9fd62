"""How much of the budget one stage may take: pure arithmetic on what is spent and what is still to come."""

import math
from collections.abc import Sequence

from perdure.budget.config import BudgetConfig


def stage_cap(
    config: BudgetConfig,
    *,
    spent: float,
    stage: int,
    stages: int,
    floors: Sequence[float | None] = (),
    share: float | None = None,
) -> float:
    """The KL that a stage may end with, counted from the base: what is spent at its start, and its part of the rest.

    Never above the cap of the life, and never below what is spent while that is within it. Where nothing is left, or
    what is spent is no number, it is the cap of the life.

    Args:
        spent: the KL at the start of the stage, as the budget holds it (the upper end of its interval, if it is that).
        stage: its number, from 1, of `stages`.
        floors: for `allocation: floor`, the KL that each stage of the life needs at least, first to last; `None` where
            that cannot be told.
        share: the strategy's own share of what is left, 0 … 1, which overrules the allocation.
    """
    left = config.kl - spent
    if not (math.isfinite(spent) and left > 0):
        return config.kl
    if share is None:
        share = _share(config, stage, stages, floors)
    return config.kl if share >= 1 else min(config.kl, spent + max(0.0, share) * left)


def _share(config: BudgetConfig, stage: int, stages: int, floors: Sequence[float | None]) -> float:
    """The share of what is left that the allocation gives to the stage, 0 … 1."""
    match config.allocation:
        case "greedy":
            return 1.0
        case "remaining":
            return config.fraction
        case "floor":
            by_floor = floor_share(floors[stage - 1 :]) if len(floors) == stages else None
            return even_share(stage, stages) if by_floor is None else by_floor
        case "even":
            return even_share(stage, stages)


def even_share(stage: int, stages: int) -> float:
    """The same for this stage and each that follows it; what a stage leaves over is shared by those after it."""
    return 1 / (stages - stage + 1)


def floor_share(floors: Sequence[float | None]) -> float | None:
    """The first floor as a share of them all, those of this stage and of the ones after it.

    `None`, so that another rule has to say, where a floor is unknown or none is above 0: there is no proportion then.
    """
    known = [one for one in floors if one is not None and math.isfinite(one)]
    total = sum(known)
    if len(known) < len(floors) or not total > 0:
        return None
    return known[0] / total
