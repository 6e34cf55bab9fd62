"""Steers the weight of a KL term so that the KL settles at a target: pure arithmetic, one number of state."""

import math

from perdure.budget.config import PenaltyConfig

LARGEST = 1e6
"""The weight never passes this: where it would, no weight holds the KL, and the gradient would overflow."""

SMALLEST_TARGET = 1e-9
"""In nats. A stage may have no budget at all; what is to be divided by still has to be above 0."""


def dual_ascent(weight: float, kl: float, target: float, *, rate: float) -> float:
    """One step of gradient ascent on the dual of "minimise the loss while KL ≤ target".

    `weight + rate · (kl / target - 1)`, never below 0: the multiplier rises while the constraint is violated and falls
    while it is not (Boyd and Vandenberghe, *Convex Optimization*, 2004, section 5; for language models as in arXiv
    2310.12773). Departure: the violation is measured in targets, so that a rate means the same at every cap.
    """
    return max(0.0, weight + rate * (kl / target - 1))


def proportional(weight: float, kl: float, target: float, *, horizon: float) -> float:
    """`weight · (1 + clip(kl / target - 1, ±0.2) / horizon)` (Ziegler et al., arXiv 1909.08593, section 2.2).

    There the horizon counts episodes and a step of n of them moves by n / horizon; here it counts steps.
    """
    error = min(0.2, max(-0.2, kl / target - 1))
    return weight * (1 + error / horizon)


class Controller:
    """The weight now. A KL that is no number leaves it as it is; the monitor sees to the rest."""

    def __init__(self, config: PenaltyConfig, cap: float, weight: float | None = None) -> None:
        self._config = config
        self.target = max(config.target * cap, SMALLEST_TARGET)
        self.weight = config.weight if weight is None else weight

    @property
    def num_prompts(self) -> int:
        """Texts of the base in the term of a step."""
        return self._config.num_prompts

    def steer(self, kl: float) -> None:
        """Take one step, seeing this KL (in the budget's unit)."""
        if math.isnan(kl):
            return
        if self._config.controller == "dual_ascent":
            moved = dual_ascent(self.weight, kl, self.target, rate=self._config.rate)
        else:
            moved = proportional(self.weight, kl, self.target, horizon=self._config.horizon)
        self.weight = min(moved, LARGEST)
