"""What a strategy is told and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from perdure.agent.run import events
from perdure.agent.run.state import RunState
from perdure.budget.law.saved import Law
from perdure.budget.monitor import Reading
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.task import Task

Candidate = events.Candidate


@dataclass(frozen=True)
class Decision:
    """A method, why it was chosen in one line, and the figures behind it.

    `share`: how much of what is left of the budget the stage may take; `None`: what the budget's allocation says.
    `steps_spent`: optimiser steps that went into choosing, by which the stage is shortened.
    """

    method: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    share: float | None = None
    steps_spent: int = 0


@dataclass(frozen=True)
class Trial:
    """What a few steps of a method came to on a fork of the policy, which is thrown away.

    The figures after it are NaN where the update broke (a loss that is not finite).

    Attributes:
        steps: optimiser steps that were made.
        before, after: mean reward on items that the trial did not train on, before its first and after its last step.
        stderr: of `after - before`, over items; `None` below two.
        kl_before, kl: forward KL from the base in the budget's unit, before and after.
        seconds: what it took, measuring included.
        seconds_a_step: of training alone.
        kl_midway: the KL after half of the steps, rounded down; `None` where that is none.
        lost: the fall of the mean reward on items of the earlier tasks, in equal parts; `None` in the first stage.
        lost_stderr: of that, over items; `None` below two.
        kept: the mean reward on those items of the earlier tasks before the trial; `None` in the first stage.
        answers: sampled to measure all this; what the first trial of a stage measures before it, the others share.
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


@dataclass(frozen=True)
class Situation:
    """All that a strategy may know when a stage is to be decided.

    Attributes:
        number, stages: the stage's number, from 1, and how many there are.
        task: without its held-out items, which are for the scorecard alone.
        methods: those that can learn the task, of which one has to be chosen.
        steps: the optimiser steps that a method would take in this stage.
        entry: the reading before the first step; its `left` is the share of the budget that is left.
        cap: the KL that the stage may end with, by the budget's allocation.
        record: the life so far: decisions, readings and scores of the stages before.
        attempt: try a method for some steps on a fork of the policy, with so many training items set aside to measure
            the gain on, and so many samples each. The policy is as before afterwards.
        rates: the mean reward now, with so many samples to each of so many training items, of every task up to the
            stage's own, by name: the items that a trial of that task would set aside, the same in every stage.
        seed: for whatever is drawn.
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
    attempt: Callable[[str, int, int, int], Trial]
    rates: Callable[[int, int], Mapping[str, float]]
    seed: int


class Strategy(Protocol):
    """Chooses the method of a stage."""

    def choose(self, situation: Situation) -> Decision:
        """One of `situation.methods`."""
        ...
