"""The costs of a run before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass

from perdure.agent.planning.caps import CapPlan
from perdure.agent.planning.memory import Memory
from perdure.agent.planning.timing import Timing
from perdure.budget.config import BudgetConfig
from perdure.budget.estimate import Estimate
from perdure.budget.price import StagePrice
from perdure.curriculum.schema import Curriculum

Span = tuple[float, float]
"""Seconds by the quickest method and by the slowest."""


@dataclass(frozen=True)
class MethodCost:
    """A stage's cost by a method (`seconds`: training and readings; `as_in`: the stage tried), or the `fault`."""

    method: str
    timing: Timing | None = None
    seconds: float | None = None
    memory: Memory | None = None
    as_in: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class StagePlan:
    """A stage: its KL price, the cost of each possible method, and the seconds `around` (deciding, saving, scoring).

    `conflicts`: the share of the writer's tokens that the base finds improbable while sure of others, where there is a
    writer.
    """

    price: StagePrice
    methods: tuple[MethodCost, ...]
    around: float
    conflicts: Estimate | None = None

    @property
    def seconds(self) -> Span | None:
        """With all that is around; `None` if no method could be timed."""
        known = [one.seconds for one in self.methods if one.seconds is not None]
        return (min(known) + self.around, max(known) + self.around) if known else None


@dataclass(frozen=True)
class Disk:
    """Bytes: the base's texts, the policy after a stage, a snapshot, a checkpoint inside a stage; and the stages.

    `snapshots` are the most that a stage has at once, see `most_snapshots`; `keep` is the number of policies that are
    kept, `None` for all; `forks` is the number of candidates that a race starts at most.
    """

    base: int
    policy: int
    snapshot: int
    checkpoint: int
    stages: int
    snapshots: int = 2
    keep: int | None = None
    forks: int = 0

    @property
    def policies(self) -> int:
        """The policies that are there at the end of the run."""
        return min(self.stages, self.keep or self.stages)

    @property
    def kept(self) -> int:
        """Bytes on the disk at the end of the run, without scores and journal."""
        return self.base + self.policies * self.policy

    @property
    def most(self) -> int:
        """While the last stage ends, where no weights are the same: with the policy that its own takes the place of,
        all its snapshots, and two checkpoints where one replaces another. Or while the last stage is decided, if a race
        takes more: each of its forks has a checkpoint and a good state, all begin with one snapshot, and one
        is measured on another.
        """
        replaced = (min(self.stages, self.policies + 1) - self.policies) * self.policy
        ends = self.kept + replaced + self.snapshots * self.snapshot + 2 * self.checkpoint
        each = self.snapshot + self.checkpoint
        races = self.kept - self.policy + replaced + self.forks * each + each + self.snapshot if self.forks else 0
        return max(ends, races)


def most_snapshots(budget: BudgetConfig) -> int:
    """The most snapshots that a stage has at once: two where the last good state replaces another, at its end that one
    and the two ends of the line of a projection (`agent/enforcement/projection.py`).
    """
    return 3 if budget.enforces("project") else 2


@dataclass(frozen=True)
class LifePlan:
    """The plan of a run: its stages, and what they have in common.

    `host_memory` are the bytes of the last good state where they are not part of an update's memory, on a GPU.

    `base_id` says at which settings KL is measured (see `perdure.budget.base_id`), `resolved` is the world's,
    `proposed` is a budget, if asked.
    Seconds: of all that is done with the base before the first stage, of one reading, of one scorecard, of the
    planning itself, and of a proposal (`None`: the first stage could not be timed).

    `quick`: costs alone, from few prompts; no price is known.
    """

    curriculum: Curriculum
    base_id: str
    resolved: Mapping[str, str]
    stages: tuple[StagePlan, ...]
    disk: Disk
    base_seconds: float
    reading_seconds: float
    scoring_seconds: float
    planning_seconds: float
    proposing_seconds: float | None = None
    proposed: CapPlan | None = None
    host_memory: int = 0
    quick: bool = False

    @property
    def prices(self) -> tuple[StagePrice, ...]:
        """The price of each stage in KL."""
        return tuple(stage.price for stage in self.stages)

    @property
    def seconds(self) -> Span | None:
        """Seconds of the whole run; `None` if a stage's are not known."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        if len(known) < len(self.stages):
            return None
        return self.base_seconds + sum(low for low, _ in known), self.base_seconds + sum(high for _, high in known)

    @property
    def memory(self) -> int | None:
        """The most that any method takes, in bytes."""
        return max((one.memory.total for stage in self.stages for one in stage.methods if one.memory), default=None)
