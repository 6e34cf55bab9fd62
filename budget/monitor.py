"""The monitor: turns measurements into readings, and readings into decisions. It knows no model.

It is a guard-rail, not a promise: the KL can be low and a skill lost. The scorecard tells what was kept.
"""

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from perdure.budget.config import BudgetConfig, Unit
from perdure.budget.estimate import Estimate, Group, per_sequence, per_token

if TYPE_CHECKING:
    from perdure.budget.law.saved import Law

Action = Literal["stop", "rollback", "broken"]


@dataclass(frozen=True)
class Measurement:
    """What a world measured on the base's texts, a group a task: forward and reverse KL, total variation, and L2."""

    kl_base_to_policy: tuple[Group, ...]
    kl_policy_to_base: tuple[Group, ...]
    total_variation: tuple[Group, ...]
    l2_distributions: tuple[Group, ...]


Measure = Callable[[Sequence[str]], Measurement]
"""Measures the policy as it is now on the texts of the named tasks."""


@dataclass(frozen=True)
class Forecast:
    """The forgetting that a law expects at one KL, and its interval: the mean drop of `benchmarks`, as fractions.

    Not `inside`: the KL is above the range that the law was fitted on, and the figures are those of its end. `level`:
    which share of new runs' checkpoints the interval is made for. `other_prompts`: the law was fitted to KL on other
    prompts than this reading was taken on, so that it is an extrapolation.
    """

    value: float
    low: float
    high: float
    inside: bool
    benchmarks: tuple[str, ...]
    level: float
    other_prompts: bool


@dataclass(frozen=True)
class Reading:
    """One reading of the monitor. All divergences are taken on texts sampled from the base.

    The forward KL per sequence is unbiased for whole texts. The reverse KL, the total variation and the L2 distance are
    those of the next-token distributions at the same positions, kept for the forgetting law, not for the budget.
    """

    step: int
    kl_per_token: Estimate
    kl_per_sequence: Estimate
    kl_policy_to_base_per_token: Estimate
    total_variation_per_token: Estimate
    l2_distributions_per_token: Estimate
    cap: float
    unit: Unit
    predicted_forgetting: Forecast | None = None

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
    """Reads the KL of one policy and says what the budget demands and, with a law, what forgetting to expect.

    The forecast decides nothing: the budget is in KL, and the scorecard measures.
    """

    def __init__(self, config: BudgetConfig, measure: Measure, law: "Law | None" = None) -> None:
        self.config = config
        self._measure = measure
        self._law = law

    def read(self, step: int, tasks: Sequence[str]) -> Reading:
        """Measure now. `tasks` are those seen so far, the stage's own last; the budget picks among them."""
        chosen = {"seen": list(tasks), "task": list(tasks)[-1:], "generic": ["generic"]}[self.config.prompts]
        measured = self._measure(chosen)
        read_on = {self.config.prompts, *(["task"] if self.config.prompts == "seen" and len(tasks) == 1 else [])}
        token, sequence = per_token(measured.kl_base_to_policy), per_sequence(measured.kl_base_to_policy)
        return Reading(
            step=step,
            kl_per_token=token,
            kl_per_sequence=sequence,
            kl_policy_to_base_per_token=per_token(measured.kl_policy_to_base),
            total_variation_per_token=per_token(measured.total_variation),
            l2_distributions_per_token=per_token(measured.l2_distributions),
            cap=self.config.kl,
            unit=self.config.unit,
            predicted_forgetting=None if self._law is None else _forecast(self._law, token, sequence, read_on),
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


def _forecast(law: "Law", token: Estimate, sequence: Estimate, read_on: Set[str]) -> Forecast | None:
    """What `law` expects, at the KL in its own unit on prompts of those names; nothing at a KL that is no number."""
    kl = sequence.value if law.unit == "sequence" else token.value
    if not math.isfinite(kl):
        return None
    found = law.predict(kl)
    other = law.prompts not in read_on
    return Forecast(found.value, found.low, found.high, found.inside, tuple(law.benchmarks), law.level, other)
