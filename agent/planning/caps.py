"""Proposes a KL budget: a few steps of the first task from the base, on a fork that is thrown away.

The learning rate is the stage's own throughout, without warm-up or decay, and no penalty holds the KL. The gain is
measured on training items set aside, never on held-out ones.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from perdure.agent.decide import method_steps
from perdure.agent.planning.timing import Timing
from perdure.agent.prepare import Ready
from perdure.agent.run.log import View
from perdure.agent.seeds import derive
from perdure.agent.trial import at_full_rate, forked
from perdure.agent.worlds.contract import Progress
from perdure.agent.worlds.job import update_job
from perdure.budget.errors import ModelError, PerdureError
from perdure.budget.estimate import Estimate
from perdure.budget.law.saved import Law
from perdure.budget.monitor import Monitor
from perdure.budget.price import StagePrice, stage_caps
from perdure.budget.proposal import Cap, Point, Proposal, cap_of, propose, rounded
from perdure.eval.preserve_rng import preserve_rng
from perdure.eval.sampled_rewards import item_means, sampled_evaluation, sampled_rewards, set_aside

STEPS = 16
"""The steps that are made, if nothing else is asked for."""
READINGS = (8, 4, 2, 1)
"""A reading after each of these parts of the steps."""
ANSWERS = 4
"""Answers sampled to each item set aside, before and at each reading."""
CAPS = (0.5, 1.0, 2.0, 4.0)
"""Caps that are looked at beside the proposed one and the curriculum's, as multiples of the KL after the last step."""


@dataclass(frozen=True)
class Asked:
    """A proposal that is asked for: steps to make, and the most forgetting, as a fraction."""

    steps: int
    forgetting: float


@dataclass(frozen=True)
class CapPlan:
    """What was tried of the first stage, what caps are expected to do, and the one proposed.

    Attributes:
        share: the first stage's part of the run's cap.
        law: why no forgetting is predicted; `None`: a law says it.
        level: of the law's interval.
        other_prompts: the law was fitted to KL on these prompts, and not on those that the budget counts, or on a
            generic probe of other texts.
        other_base: the kind of base that the law was fitted on, where that is another one.
        fault: why nothing could be tried; the rest is then empty.
    """

    stage: str
    method: str
    stage_steps: int = 0
    seconds: float = 0.0
    share: float = 1.0
    points: tuple[Point, ...] = ()
    caps: tuple[Cap, ...] = ()
    proposal: Proposal | None = None
    law: str | None = None
    level: float | None = None
    other_prompts: str | None = None
    other_base: str | None = None
    fault: str | None = None


def propose_cap(ready: Ready, prices: Sequence[StagePrice], asked: Asked, folder: Path, view: View) -> CapPlan:
    """Train the first task for a few steps, put the policy back, and look at caps."""
    curriculum, task = ready.curriculum, ready.tasks[0]
    stage, method = curriculum.stages[0], ready.methods[0][0]
    begun = time.perf_counter()
    try:
        stage_steps = method_steps(curriculum, stage, task, method)
        points = _Trial(ready, method, asked.steps, view).points(folder)
    except PerdureError as error:
        return CapPlan(stage.name, method, fault=str(error))
    share = _first_share(ready, prices)
    law, why = _law(ready)
    proposal = propose(points, stage_steps=stage_steps, share=share, law=law, most=asked.forgetting, need=_need(prices))
    grown = max(one.kl.value for one in points) / share
    looked_at = {curriculum.budget.kl, *([proposal.kl] if proposal.kl else [])}
    looked_at |= {rounded(grown * times, up=False) for times in CAPS if grown > 0}
    return CapPlan(
        stage=stage.name,
        method=method,
        stage_steps=stage_steps,
        seconds=time.perf_counter() - begun,
        share=share,
        points=points,
        caps=tuple(cap_of(points, kl, share, law) for kl in sorted(looked_at)),
        proposal=proposal,
        law=why,
        level=None if law is None else law.level,
        other_prompts=None if law is None or _on_these(law, ready) else law.prompts,
        other_base=law.kind if law is not None and ready.law_of_other_base else None,
    )


def proposing_seconds(ready: Ready, timing: Timing, reading: float, an_answer: float) -> float:
    """Seconds of a proposal of `STEPS` steps, from those of a reading and of a sampled answer."""
    task, count = ready.tasks[0], ready.curriculum.budget.num_prompts
    answers = (len(READINGS) + 1) * ANSWERS * max(1, min(count, len(task.train) // 2))
    steps = min(STEPS, timing.steps) * timing.seconds_a_step
    return timing.setup_seconds + steps + len(READINGS) * reading + answers * an_answer


def _need(prices: Sequence[StagePrice]) -> float:
    return max((one.required_kl for one in prices if one.required_kl is not None), default=0.0)


def _first_share(ready: Ready, prices: Sequence[StagePrice]) -> float:
    """The part of the run's cap that the first stage may use, by the allocation."""
    budget = ready.curriculum.budget
    caps = stage_caps(budget, [one.required_kl for one in prices], [one.floor for one in prices])
    return caps[0] / budget.kl


def _on_these(law: Law, ready: Ready) -> bool:
    return law.prompts == ready.curriculum.budget.prompts and not ready.law_of_other_probe


def _law(ready: Ready) -> tuple[Law | None, str | None]:
    """The law, where it counts KL as the budget does; else why there is none."""
    law, curriculum = ready.law, ready.curriculum
    if law is None:
        return None, "the curriculum names no law (budget.law)"
    if law.unit != curriculum.budget.unit and not curriculum.spec.one_step_answers:
        per = curriculum.spec.nouns.per
        return None, f"the law counts nats {per(law.unit)}, and the budget nats {per(curriculum.budget.unit)}"
    if not law.counts(law.unit, curriculum.budget.prompts):
        return None, f"the law predicts from another KL than that on `prompts: {curriculum.budget.prompts}` alone"
    return law, None


class _Trial:
    """The steps that are made, and what is measured on the way."""

    def __init__(self, ready: Ready, method: str, steps: int, view: View) -> None:
        self._ready, self._method, self._view = ready, method, view
        self._monitor = Monitor(ready.curriculum.budget, ready.world.measure)
        self._task, self._items = set_aside(ready.tasks[0], ready.curriculum.budget.num_prompts)
        most = method_steps(ready.curriculum, ready.curriculum.stages[0], self._task, method)
        self._steps = min(steps, most)
        self._readings = {math.ceil(self._steps / part) for part in READINGS}
        self._points: list[Point] = []
        self._before: list[float] = []
        self._broken: str | None = None

    def points(self, folder: Path) -> tuple[Point, ...]:
        """Make the steps.

        Raises:
            PerdureError: the method cannot learn the task, or the KL became no number.
        """
        curriculum, world = self._ready.curriculum, self._ready.world
        self._before = self._rewards()
        with preserve_rng(), forked(world, folder):
            world.update(
                update_job(
                    curriculum,
                    self._ready.tasks,
                    world.policy,
                    1,
                    curriculum.method(self._method),
                    left_out=curriculum.budget.num_prompts,
                    same_steps=False,
                    change=lambda settings: at_full_rate(settings, most=self._steps),
                    seed=derive(curriculum.seed, "propose", self._method),
                    folder=folder,
                    watch=self._watch,
                    controller=None,
                )
            )
        if self._broken is not None:
            raise ModelError(self._broken)
        return tuple(self._points)

    def _watch(self, progress: Progress) -> bool:
        step = progress.step
        self._view.progress({"phase": f"what budget? step {step} of {self._steps} by {self._method}"})
        if step in self._readings:
            with preserve_rng():
                kl = self._monitor.read(step, [self._ready.tasks[0].name]).kl
                self._points.append(Point(step, kl, _rise(self._before, self._rewards())))
            if not kl.finite:
                self._broken = f"the KL became {kl.value} at step {step}: lower the learning rate"
        return self._broken is not None or step >= self._steps

    def _rewards(self) -> list[float]:
        """Mean reward of each item set aside, with the same draws whenever it is asked."""
        ready, stage = self._ready, self._ready.curriculum.stages[0]
        evaluation = sampled_evaluation(ready.curriculum, stage)
        seed = derive(ready.curriculum.seed, "set aside", stage.name)
        with preserve_rng(getattr(ready.world.policy, "model", None)):
            found = sampled_rewards(ready.tasks[0], self._items, ready.world.policy, evaluation, k=ANSWERS, seed=seed)
        return item_means(found)


def _rise(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """The mean rise of items, with its standard error."""
    rises = [now - then for now, then in zip(after, before, strict=True)]
    error = stdev(rises) / math.sqrt(len(rises)) if len(rises) > 1 else None
    return Estimate(fmean(rises), error, len(rises))
