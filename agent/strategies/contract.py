"""The contract of a strategy: the situation that it is given and the decision that it returns."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from perdure.agent.run.events import Candidate as Candidate  # noqa: PLC0414  (strategies import it from here)
from perdure.agent.run.state import RunState
from perdure.budget.law.saved import Law
from perdure.budget.monitor import Reading
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.task import Task


@dataclass(frozen=True)
class Decision:
    """The chosen method, the reason in one line, and the figures behind it.

    `share`: the share of the remaining budget that the stage may use; `None`: by the budget's allocation.
    `steps_spent`: optimiser steps used to choose, by which the stage is shortened; with `whole_schedule` it ends sooner
    on the learning rates of all its steps. `set_aside`: training items, the last ones and at most half, that the stage
    does not train on, in as many steps; nor does it replay the items by which a race of as many measures earlier tasks.
    """

    method: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    share: float | None = None
    steps_spent: int = 0
    set_aside: int = 0
    whole_schedule: bool = False


@dataclass(frozen=True)
class TrialResult:
    """The measurements of a few steps of a method on a fork of the policy, which is then discarded.

    Figures after the trial are NaN if the update broke (a loss that is not finite).

    Attributes:
        steps: optimiser steps made.
        before, after: mean reward, before the first and after the last step, on items that the trial did not train on.
        stderr: of `after - before`, over items; `None` below two.
        kl_before, kl: forward KL from the base in the budget's unit, before and after.
        seconds: of the trial, measurements included.
        seconds_a_step: of training alone.
        kl_midway: the KL after half of the steps, rounded down; `None` if those are 0.
        lost: the drop of the mean reward on items of the earlier tasks, equally weighted; `None` in the first stage.
        lost_stderr: of `lost`, over items; `None` below two.
        kept: the mean reward on those items before the trial; `None` in the first stage.
        not_replayed: the number of those items, which the trial did not replay.
        writer_kl_before, writer_kl: KL(writer ‖ policy) on the demonstrations of the items set aside, nats an answer,
            before and after; `None` of a method that does not imitate, or where nobody wrote.
        written: the mean reward of these demonstrations.
        answers: the number sampled; those before the trial count for the first trial of a stage, and all share them.
        midway: the steps after which `kl_midway` was read, where they are not half of all.
        ended: the cap ended the training, so that no step follows.
    """

    method: str
    steps: int
    before: float
    after: float
    stderr: float | None
    kl_before: float
    kl: float
    seconds: float
    seconds_a_step: float
    kl_midway: float | None = None
    lost: float | None = None
    lost_stderr: float | None = None
    kept: float | None = None
    answers: int = 0
    midway: float | None = None
    ended: bool = False
    not_replayed: int = 0
    writer_kl_before: float | None = None
    writer_kl: float | None = None
    written: float | None = None

    @property
    def broken(self) -> bool:
        """True if the update broke."""
        return not (math.isfinite(self.after) and math.isfinite(self.kl))


class Forks(Protocol):
    """Candidates that train on forks of the stage's policy, each on its own, until one of them goes on."""

    def advance(
        self, method: str, rung: int, *, spent: int, steps: int | None = None, seconds: float | None = None
    ) -> TrialResult:
        """Train a candidate on to a rung, from 1: its figures there, over all that it has trained.

        The rung ends after so many steps or seconds of its training. `spent`: steps by which its stage is shorter.
        """
        ...

    def drop(self, method: str) -> None:
        """A candidate is out: remove what it needs to go on."""
        ...


class Rates(Protocol):
    """Measures the policy as the stage begins with it."""

    def __call__(self, num_prompts: int, k: int, stage: int | None = None) -> Mapping[str, float]:
        """The mean reward by task, up to that of a `stage` (its number; `None`: the one to be decided), of k samples.

        The items are those by which a trial of that stage measures its task and the earlier ones, and which a decision
        with `set_aside=num_prompts` neither trains on nor replays; a task with none is missing.
        """
        ...


@dataclass(frozen=True)
class Situation:
    """Everything that a strategy may know when it chooses the method of a stage.

    Attributes:
        number, stages: the stage's number, from 1, and the number of stages.
        task: without its held-out items, which only the scorecard uses.
        methods: those that can learn the task; one of them has to be chosen.
        steps: the optimiser steps of a method in this stage.
        entry: the reading before the first step, with the remaining share of the budget.
        cap: the KL that the stage may end with, by the budget's allocation.
        record: decisions, readings and scores of the stages before.
        attempt: run a trial: method, steps, number of training items set aside to measure on, samples per item. The
            policy is unchanged afterwards.
        fork: begin a race: number of training items set aside to measure on, samples per item. A decision for a method
            that was forked makes its fork the policy, if it has the same `set_aside` and `steps_spent` (0 with
            `whole_schedule`) and no `share`; else the stage begins anew.
        rates: the mean reward now by task, up to the stage's own; see `Rates`.
        rate: the same of the stage's own task alone: number of training items, samples per item.
        seed: of all random draws.
    """

    number: int
    stages: int
    curriculum: Curriculum
    stage: Stage
    task: Task
    methods: tuple[str, ...]
    steps: Callable[[str], int]
    policy: Policy
    entry: Reading
    cap: float
    record: RunState
    law: Law | None
    attempt: Callable[[str, int, int, int], TrialResult]
    fork: Callable[[int, int], Forks]
    rates: Rates
    rate: Callable[[int, int], float]
    seed: int


class Strategy(Protocol):
    """Chooses the method of a stage."""

    def choose(self, situation: Situation) -> Decision:
        """One of `situation.methods`."""
        ...
