"""The monitor: turns measurements into readings, and readings into decisions. It knows no model.

It is a guard-rail, not a promise: the KL can be low and a skill lost. The scorecard tells what was kept.
"""

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from perdure.budget.config import BudgetConfig, Unit
from perdure.budget.errors import ConfigError
from perdure.budget.estimate import Estimate, Group, per_sequence, per_token

if TYPE_CHECKING:
    from perdure.budget.law.saved import Law

Action = Literal["stop", "rollback", "broken", "project", "recover"]

IN_TURN: tuple[Literal["recover", "project", "rollback", "stop"], ...] = ("recover", "project", "rollback", "stop")
"""The order in which what is enforced is tried where a stage ends above its cap."""


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

    `cap` is what holds now: that of the life when a stage is entered, that of the stage afterwards. `upper_bound` is
    what is held against it: the KL, or with `budget.confidence` the upper end of its interval.
    """

    step: int
    kl_per_token: Estimate
    kl_per_sequence: Estimate
    kl_policy_to_base_per_token: Estimate
    total_variation_per_token: Estimate
    l2_distributions_per_token: Estimate
    cap: float
    unit: Unit
    upper_bound: float
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
        return self.finite and self.upper_bound <= self.cap

    @property
    def left(self) -> float:
        """The share of the cap that is left, 0 … 1; 0 if the KL is not finite, or the cap is 0."""
        return min(1.0, max(0.0, 1 - self.upper_bound / self.cap)) if self.finite and self.cap > 0 else 0.0


class Monitor:
    """Reads the KL of one policy and says what the budget demands and, with a law, what forgetting to expect.

    The forecast decides nothing: the budget is in KL, and the scorecard measures.
    """

    def __init__(self, config: BudgetConfig, measure: Measure, law: "Law | None" = None) -> None:
        self.config = config
        self._measure = measure
        self.law = law

    def read(self, step: int, tasks: Sequence[str], cap: float | None = None) -> Reading:
        """Measure now. `tasks` are those seen so far, the stage's own last; the budget picks among them.

        `cap` is that of the stage; left out, that of the life holds.

        Raises:
            ConfigError: `budget.confidence` is set, and one of the tasks has a single text.
        """
        chosen = {"seen": list(tasks), "task": list(tasks)[-1:], "generic": ["generic"]}[self.config.prompts]
        measured = self._measure(chosen)
        read_on = {self.config.prompts, *(["task"] if self.config.prompts == "seen" and len(tasks) == 1 else [])}
        token, sequence = per_token(measured.kl_base_to_policy), per_sequence(measured.kl_base_to_policy)
        counted = token if self.config.unit == "token" else sequence
        fewest = min(len(group.sums) for group in measured.kl_base_to_policy)
        return Reading(
            step=step,
            kl_per_token=token,
            kl_per_sequence=sequence,
            kl_policy_to_base_per_token=per_token(measured.kl_policy_to_base),
            total_variation_per_token=per_token(measured.total_variation),
            l2_distributions_per_token=per_token(measured.l2_distributions),
            cap=self.config.kl if cap is None else cap,
            unit=self.config.unit,
            upper_bound=counted.value
            if self.config.confidence is None
            else upper(counted, fewest, self.config.confidence),
            predicted_forgetting=None if self.law is None else _forecast(self.law, token, sequence, read_on),
        )

    def demands(self, reading: Reading) -> Action | None:
        """What a reading in the midst of an update demands: nothing, or that it ends now, and why.

        Above the cap `stop` ends it, and so does `rollback` where nothing beside it brings the KL down again; with
        `project`, `penalty` or `recover` it goes on. A KL that is NaN is broken under every enforcement. An infinite
        one is above every cap; where no cap ends the update it counts as broken too, since no later reading could be
        compared with it.
        """
        if math.isnan(reading.kl.value):
            return "broken"
        if reading.within:
            return None
        if self.config.ends_update:
            return "stop" if self.config.enforces("stop") else "rollback"
        return None if reading.finite else "broken"

    def remedies(self, reading: Reading) -> tuple[Action, ...]:
        """What is to be done, in turn until one brings it within its cap, where a stage ends with this reading."""
        if self.demands(reading) == "broken":
            return ("broken",)
        return () if reading.within else tuple(name for name in IN_TURN if self.config.enforces(name))

    def accepts(self, reading: Reading) -> bool:
        """Whether a stage may be left in this state: finite, and within its cap where that is held."""
        held = self.config.enforces("rollback") or self.config.enforces("project")
        return reading.within if held else reading.finite

    def due(self, step: int) -> bool:
        """Whether a reading is due after this optimiser step."""
        return step % self.config.every == 0


def upper(kl: Estimate, fewest: int, confidence: float) -> float:
    """The upper end of the one-sided interval of a KL at this level: `value + t · stderr`.

    Student's t and not the normal quantile, since the standard error is itself estimated, from a few dozen texts and
    often fewer. `fewest` is the number of texts of the smallest group: its degrees of freedom are the least that
    Welch's formula can give for a mean over groups, so that the interval is never too short for having pooled them.
    KLs of single texts are skewed to the right, and of a few of them every such interval holds the mean less often than
    it says. A KL that is not finite is its own upper end.

    Raises:
        ConfigError: there is no standard error.
    """
    if not kl.finite:
        return kl.value
    if kl.stderr is None:
        raise ConfigError(
            "budget.confidence needs the standard error of the KL, and a single text has none: give every task two "
            "training items at least, or leave budget.confidence out"
        )
    return kl.value + quantile(fewest - 1, confidence) * kl.stderr


@cache
def quantile(degrees: int, level: float) -> float:
    """Of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, level))


def _forecast(law: "Law", token: Estimate, sequence: Estimate, read_on: Set[str]) -> Forecast | None:
    """What `law` expects, at the KL in its own unit on prompts of those names; nothing at a KL that is no number."""
    kl = sequence.value if law.unit == "sequence" else token.value
    if not math.isfinite(kl):
        return None
    found = law.predict(kl)
    other = law.prompts not in read_on
    return Forecast(found.value, found.low, found.high, found.inside, tuple(law.benchmarks), law.level, other)
