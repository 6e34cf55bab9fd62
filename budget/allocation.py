"""The share of the budget that one stage may use: arithmetic on the KL spent and the stages to come."""

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
    """The KL from the base that a stage may end with: the KL at its start and its share of the remaining budget.

    At most the cap of the run. It is the cap of the run if no budget remains or `spent` is not finite.

    Args:
        spent: the KL at the start of the stage, as the budget counts it (an upper confidence bound, if it counts that).
        stage: its number, from 1, of `stages`.
        floors: for `allocation: floor`, the least KL that each stage of the run requires; `None`: not known.
        share: the strategy's own share of the remaining budget, 0 … 1, which overrides the allocation.
    """
    remaining = config.kl - spent
    if not (math.isfinite(spent) and remaining > 0):
        return config.kl
    if share is None:
        share = _share(config, stage, stages, floors)
    return config.kl if share >= 1 else min(config.kl, spent + max(0.0, share) * remaining)


def _share(config: BudgetConfig, stage: int, stages: int, floors: Sequence[float | None]) -> float:
    """The share of the remaining budget that the allocation gives to the stage, 0 … 1."""
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
    """Equal shares for this stage and all after it; those share what this one does not use."""
    return 1 / (stages - stage + 1)


def floor_share(floors: Sequence[float | None]) -> float | None:
    """This stage's floor divided by the sum of its own and all later floors; `None` if one is unknown or all are 0."""
    known = [one for one in floors if one is not None and math.isfinite(one)]
    total = sum(known)
    if len(known) < len(floors) or not total > 0:
        return None
    return known[0] / total
