"""The monitor turns measurements into readings, and readings into decisions. It knows no model.

A low KL does not prove that a skill was kept: the scorecard measures that.
"""

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from perdure.budget.config import BudgetConfig, Unit
from perdure.budget.errors import ConfigError
from perdure.budget.estimate import UNMEASURED, Estimate, Group, per_sequence, per_token, quantile_over_texts

if TYPE_CHECKING:
    from perdure.budget.law.saved import Law

Action = Literal["stop", "rollback", "broken", "project", "recover", "average"]

GENERIC = "probe/generic"
"""The group of the generic probe among those that are measured; no stage has a slash in its name."""

REMEDY_ORDER: tuple[Literal["recover", "project", "rollback", "stop"], ...] = ("recover", "project", "rollback", "stop")
"""The order in which the enforced remedies are tried after a stage that ends above its cap."""


@dataclass(frozen=True)
class Measurement:
    """A world's measurements on the base's texts, one group per task: the fields of `divergence.Divergences`."""

    kl_base_to_policy: tuple[Group, ...]
    kl_policy_to_base: tuple[Group, ...]
    total_variation: tuple[Group, ...]
    l2_distributions: tuple[Group, ...]
    jensen_shannon: tuple[Group, ...]
    hellinger: tuple[Group, ...]


MeasureTasks = Callable[[Sequence[str]], Measurement]
"""Measures the current policy on the texts of the named tasks."""


@dataclass(frozen=True)
class Forecast:
    """The forgetting that a law predicts at one KL, with an interval: the mean drop of `benchmarks`, as fractions.

    `inside` is false above the range of KL that the law was fitted on; the values are then those at its end. `level` is
    the share of new runs' checkpoints that the interval is meant to contain. `other_prompts`: the law was fitted to KL
    on other prompts than this reading's, or on a generic probe of other texts, so it extrapolates. `other_base`: it was
    fitted on another base.
    """

    value: float
    low: float
    high: float
    inside: bool
    benchmarks: tuple[str, ...]
    level: float
    other_prompts: bool
    other_base: bool = False


@dataclass(frozen=True)
class Reading:
    """One reading of the monitor. All divergences are measured on texts sampled from the base.

    The forward KL per sequence is unbiased for whole texts. The other divergences are those of the next-token
    distributions at the same positions, for the forgetting law, not for the budget; so are `kl_median` and `kl_q90`,
    the median and the 90 % quantile over texts of a text's KL per token.

    `kl_generic_…` are the forward KL on the generic probe; `None`: not read. `on_generic`: it is the larger of the two
    that `budget.prompts: both` counts.

    `cap` is that of the run at the start of a stage, and that of the stage afterwards. `upper_bound` is compared with
    it: the KL, or with `budget.confidence` its upper confidence bound.
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
    jensen_shannon_per_token: Estimate = UNMEASURED
    hellinger_per_token: Estimate = UNMEASURED
    kl_median: float | None = None
    kl_q90: float | None = None
    kl_generic_per_token: Estimate | None = None
    kl_generic_per_sequence: Estimate | None = None
    on_generic: bool = False

    @property
    def kl_generic(self) -> Estimate | None:
        """The KL on the generic probe in the unit of the budget."""
        return self.kl_generic_per_token if self.unit == "token" else self.kl_generic_per_sequence

    @property
    def kl(self) -> Estimate:
        """The estimate that the budget counts."""
        return self.in_unit(self.unit)

    def in_unit(self, unit: Unit) -> Estimate:
        """The KL that the budget counts, in nats a `unit`."""
        own = self.kl_per_token if unit == "token" else self.kl_per_sequence
        generic = self.kl_generic_per_token if unit == "token" else self.kl_generic_per_sequence
        return generic if self.on_generic and generic is not None else own

    @property
    def finite(self) -> bool:
        return self.kl.finite

    @property
    def within(self) -> bool:
        """True if the policy is within the budget; false if its KL is not finite."""
        return self.finite and self.upper_bound <= self.cap

    @property
    def left(self) -> float:
        """The remaining share of the cap, 0 … 1; 0 if the KL is not finite, or the cap is 0."""
        return min(1.0, max(0.0, 1 - self.upper_bound / self.cap)) if self.finite and self.cap > 0 else 0.0


class Monitor:
    """Reads the KL of one policy and decides what the budget demands. A law's forecast decides nothing.

    `probe`: the KL on the group `GENERIC` is read beside that on the tasks, also where the budget does not count it.
    `other_base`: the law was fitted on another base than the policy's; `other_probe`: to another generic probe.
    """

    def __init__(
        self,
        config: BudgetConfig,
        measure: MeasureTasks,
        law: "Law | None" = None,
        *,
        probe: bool = False,
        other_base: bool = False,
        other_probe: bool = False,
    ) -> None:
        self.config = config
        self._measure = measure
        self.law, self._other_base, self._other_probe = law, other_base, other_probe
        self._probe = probe or config.prompts == "both"

    def read(self, step: int, tasks: Sequence[str], cap: float | None = None) -> Reading:
        """Measure the policy. `tasks` are those seen so far, the stage's own last; the budget selects among them.

        `cap` is that of the stage; by default that of the run.

        Raises:
            ConfigError: `budget.confidence` is set, and one of the tasks has a single text.
        """
        prompts = "seen" if self.config.prompts == "both" else self.config.prompts
        chosen = {"seen": list(tasks), "task": list(tasks)[-1:], "generic": [GENERIC]}[prompts]
        measured = self._measure(chosen)
        read_on = {prompts, *(["task"] if prompts == "seen" and len(tasks) == 1 else [])}
        token, sequence = per_token(measured.kl_base_to_policy), per_sequence(measured.kl_base_to_policy)
        generic = self._generic(measured)
        bound, on_generic = self._bound(measured.kl_base_to_policy), False
        if generic is not None and self.config.prompts == "both":
            other = self._bound(generic)
            on_generic = math.isnan(other) or other > bound
            bound = other if on_generic else bound
        return Reading(
            step=step,
            kl_per_token=token,
            kl_per_sequence=sequence,
            kl_policy_to_base_per_token=per_token(measured.kl_policy_to_base),
            total_variation_per_token=per_token(measured.total_variation),
            l2_distributions_per_token=per_token(measured.l2_distributions),
            cap=self.config.kl if cap is None else cap,
            unit=self.config.unit,
            upper_bound=bound,
            predicted_forgetting=self._forecast(measured.kl_base_to_policy, generic, read_on),
            jensen_shannon_per_token=per_token(measured.jensen_shannon),
            hellinger_per_token=per_token(measured.hellinger),
            kl_median=quantile_over_texts(measured.kl_base_to_policy, 0.5),
            kl_q90=quantile_over_texts(measured.kl_base_to_policy, 0.9),
            kl_generic_per_token=None if generic is None else per_token(generic),
            kl_generic_per_sequence=None if generic is None else per_sequence(generic),
            on_generic=on_generic,
        )

    def _generic(self, measured: Measurement) -> tuple[Group, ...] | None:
        """The forward KL on the generic probe, which the budget's own reading is where it counts nothing else."""
        if self.config.prompts == "generic":
            return measured.kl_base_to_policy
        return self._measure([GENERIC]).kl_base_to_policy if self._probe else None

    def _forecast(self, groups: Sequence[Group], generic: Sequence[Group] | None, read_on: Set[str]) -> Forecast | None:
        """The law's forecast at the KL in its own unit, on prompts of those names, on the generic probe, or on both.

        `None` without a law, and at a KL that is not finite, or that was not read.
        """
        law = self.law
        if law is None:
            return None
        in_unit = per_sequence if law.unit == "sequence" else per_token
        used = {"task": (groups,), "generic": (generic,), "both": (groups, generic)}[law.predictor]
        kls = [math.nan if one is None else in_unit(one).value for one in used]
        if not all(map(math.isfinite, kls)):
            return None
        found = law.predict(*kls)
        other = self._other_probe or (law.predictor != "generic" and law.prompts not in read_on)
        drops = tuple(law.benchmarks)
        return Forecast(found.value, found.low, found.high, found.inside, drops, law.level, other, self._other_base)

    def _bound(self, groups: Sequence[Group]) -> float:
        """The KL of these groups that is compared with the cap. Raises as `upper`.

        The larger of two bounds is a bound at the same level on the larger of two KLs: the larger KL has its own.
        """
        kl = per_token(groups) if self.config.unit == "token" else per_sequence(groups)
        if self.config.confidence is None:
            return kl.value
        return upper(kl, min(len(group.sums) for group in groups), self.config.confidence)

    def demands(self, reading: Reading) -> Action | None:
        """The action that a reading during an update demands: `None`, or to end the update, and why.

        Above the cap `stop` ends it, and so does `rollback` unless `penalty` or `recover` may lower the KL again; under
        the others it continues. A NaN KL is always "broken". So is an infinite one if the cap does not end the update:
        no later reading could be compared with it.
        """
        if math.isnan(reading.kl.value):
            return "broken"
        if reading.within:
            return None
        if self.config.ends_update:
            return "stop" if self.config.enforces("stop") else "rollback"
        return None if reading.finite else "broken"

    def remedies(self, reading: Reading) -> tuple[Action, ...]:
        """The remedies for a stage that ends with this reading, to be tried in order until the KL is within its cap."""
        if self.demands(reading) == "broken":
            return ("broken",)
        return () if reading.within else tuple(name for name in REMEDY_ORDER if self.config.enforces(name))

    def accepts(self, reading: Reading) -> bool:
        """True if a stage may end in this state: KL finite, and within the cap if `rollback` or `project` hold it."""
        holds_cap = self.config.enforces("rollback") or self.config.enforces("project")
        return reading.within if holds_cap else reading.finite

    def due(self, step: int) -> bool:
        """True if a reading is due after this optimiser step."""
        return step % self.config.every == 0


def upper(kl: Estimate, fewest: int, confidence: float) -> float:
    """The one-sided upper confidence bound of a KL at this level: `value + t · stderr`.

    Student's t, as the standard error is estimated from few texts. `fewest` is the number of texts of the smallest
    group: its degrees of freedom are the least that Welch's formula can give for a mean over groups. KLs of single
    texts are skewed to the right, so with few texts the bound holds less often than its level says. A KL that is not
    finite is its own bound.

    Raises:
        ConfigError: there is no standard error.
    """
    if not kl.finite:
        return kl.value
    if kl.stderr is None:
        raise ConfigError(
            "budget.confidence needs the standard error of the KL, and a single text has none: give every task at "
            "least two training items, or leave out budget.confidence"
        )
    return kl.value + quantile(fewest - 1, confidence) * kl.stderr


@cache
def quantile(degrees: int, level: float) -> float:
    """The quantile of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, level))
