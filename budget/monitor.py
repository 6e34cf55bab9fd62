"""The monitor: turns measurements into readings, and readings into decisions. It knows no model.

It is a guard-rail, not a promise: the KL can be low and a skill lost. The scorecard tells what was kept.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from perdure.budget.config import BudgetConfig, Unit
from perdure.budget.estimate import Estimate, Group, per_sequence, per_token

Action = Literal["stop", "rollback", "broken"]


@dataclass(frozen=True)
class Measurement:
    """What a world measured on the base's texts, a group a task: forward KL, reverse KL and total variation."""

    kl_base_to_policy: tuple[Group, ...]
    kl_policy_to_base: tuple[Group, ...]
    total_variation: tuple[Group, ...]


Measure = Callable[[Sequence[str]], Measurement]
"""Measures the policy as it is now on the texts of the named tasks."""


@dataclass(frozen=True)
class Reading:
    """One reading of the monitor. All divergences are taken on texts sampled from the base.

    The forward KL per sequence is unbiased for whole texts. The reverse KL and the total variation are those of the
    next-token distributions at the same positions, kept for the forgetting law, not for the budget.
    """

    step: int
    kl_per_token: Estimate
    kl_per_sequence: Estimate
    kl_policy_to_base_per_token: Estimate
    total_variation_per_token: Estimate
    cap: float
    unit: Unit

    @property
    def kl(self) -> Estimate:
        """The estimate that the budget counts."""
        return self.kl_per_token if self.unit == "token" else self.kl_per_sequence

    @property
    def finite(self) -> bool:
        return self.kl.finite

    @property
    def within(self) -> bool:
        """Whether the policy is within the budget. A KL that is NaN or infinite is not."""
        return self.finite and self.kl.value <= self.cap

    @property
    def left(self) -> float:
        """The share of the budget that is left, 0 … 1; 0 if the KL is not finite."""
        return min(1.0, max(0.0, 1 - self.kl.value / self.cap)) if self.finite else 0.0


class Monitor:
    """Reads the KL of one policy and says what the budget demands."""

    def __init__(self, config: BudgetConfig, measure: Measure) -> None:
        self.config = config
        self._measure = measure

    def read(self, step: int, tasks: Sequence[str]) -> Reading:
        """Measure now. `tasks` are those seen so far, the stage's own last; the budget picks among them."""
        chosen = {"seen": list(tasks), "task": list(tasks)[-1:], "generic": ["generic"]}[self.config.prompts]
        measured = self._measure(chosen)
        return Reading(
            step=step,
            kl_per_token=per_token(measured.kl_base_to_policy),
            kl_per_sequence=per_sequence(measured.kl_base_to_policy),
            kl_policy_to_base_per_token=per_token(measured.kl_policy_to_base),
            total_variation_per_token=per_token(measured.total_variation),
            cap=self.config.kl,
            unit=self.config.unit,
        )

    def demands(self, reading: Reading) -> Action | None:
        """What to do about a reading: nothing, end the stage, end it and go back, or give the state up as broken.

        A KL that is NaN is broken under every enforcement. An infinite one is above every cap; where nothing is
        enforced it counts as broken too, since no later reading could be compared with it.
        """
        if math.isnan(reading.kl.value):
            return "broken"
        if self.config.enforce == "observe":
            return None if reading.finite else "broken"
        return None if reading.within else self.config.enforce

    def due(self, step: int) -> bool:
        """Whether a reading is due after this optimiser step."""
        return step % self.config.every == 0
