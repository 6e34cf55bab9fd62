"""Controllers that steer the weight of a KL term until the KL settles at a target: pure arithmetic."""

import math

from perdure.budget.config import PenaltyConfig

MAX_WEIGHT = 1e6
"""The largest weight: if this does not hold the KL, none does, and the gradient would overflow."""

MIN_TARGET = 1e-9
"""The smallest target, in nats: a stage may have no budget, and the target is a divisor."""


def dual_ascent(weight: float, kl: float, target: float, *, rate: float) -> float:
    """One step of gradient ascent on the dual of "minimise the loss while KL ≤ target".

    `max(0, weight + rate · (kl / target - 1))`: the multiplier rises while the constraint is violated and falls while
    it holds (Boyd and Vandenberghe, *Convex Optimization*, 2004, section 5; for language models arXiv 2310.12773).
    Departure: the violation is relative to the target, so that a rate means the same at every cap.
    """
    return max(0.0, weight + rate * (kl / target - 1))


def proportional(weight: float, kl: float, target: float, *, horizon: float) -> float:
    """`weight · (1 + clip(kl / target - 1, ±0.2) / horizon)` (Ziegler et al., arXiv 1909.08593, section 2.2).

    Departure: their horizon counts episodes; this one counts steps.
    """
    error = min(0.2, max(-0.2, kl / target - 1))
    return weight * (1 + error / horizon)


class Controller:
    """Holds the weight and steers it by each KL; a NaN KL leaves it unchanged."""

    def __init__(self, config: PenaltyConfig, cap: float, weight: float | None = None) -> None:
        self._config = config
        self.target = max(config.target * cap, MIN_TARGET)
        self.weight = config.weight if weight is None else weight

    @property
    def num_prompts(self) -> int:
        """Texts of the base per step."""
        return self._config.num_prompts

    def steer(self, kl: float) -> None:
        """Update the weight from a KL in the budget's unit."""
        if math.isnan(kl):
            return
        if self._config.controller == "dual_ascent":
            moved = dual_ascent(self.weight, kl, self.target, rate=self._config.rate)
        else:
            moved = proportional(self.weight, kl, self.target, horizon=self._config.horizon)
        self.weight = min(moved, MAX_WEIGHT)
