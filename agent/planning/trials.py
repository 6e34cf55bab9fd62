"""Tries methods on stages, and estimates the others from these trials."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from perdure.agent.decide import method_steps
from perdure.agent.planning.costs import MethodCost
from perdure.agent.planning.memory import Memory, memory_of
from perdure.agent.planning.timing import SECONDS, STEPS, Timing, time_method
from perdure.agent.prepare import Ready
from perdure.agent.run.log import View
from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob, Watch
from perdure.agent.worlds.job import update_job
from perdure.budget.errors import PerdureError
from perdure.budget.penalty import Controller
from perdure.curriculum.train import settings_for

MOST_SECONDS = 35.0
"""Once the trials took so long, a method that was tried in one stage is not tried in another."""


@dataclass(frozen=True)
class Trial:
    """The result of trying one method in one stage, counted from 0."""

    stage: int
    method: str
    timing: Timing | None = None
    memory: Memory | None = None
    fault: str | None = None


def try_all(ready: Ready, folder: Path, view: View, most_seconds: float = MOST_SECONDS) -> list[Trial]:
    """Try every method once at least, and in each stage that may use it while there is time."""
    begun = time.perf_counter()
    trials: list[Trial] = []
    pairs = [(index, method) for index, methods in enumerate(ready.methods) for method in methods]
    order = sorted(pairs, key=lambda pair: sum(1 for other in pairs if other[1] == pair[1] and other[0] < pair[0]))
    for index, method in order:
        tried = any(trial.method == method for trial in trials)
        if tried and time.perf_counter() - begun > most_seconds:
            continue
        view.progress({"phase": f"trying {method} on {ready.tasks[index].name}, {STEPS} steps or {SECONDS:.0f} s"})
        trials.append(_try(ready, index, method, folder))
    return trials


def cost_of(ready: Ready, index: int, method: str, trials: Sequence[Trial], reading_seconds: float) -> MethodCost:
    """The cost of a stage by a method: by its own trial, else by that of the first stage that had one."""
    own = [one for one in trials if (one.stage, one.method) == (index, method)]
    trial = own[0] if own else next(one for one in trials if one.method == method)
    as_in = None if own else ready.tasks[trial.stage].name
    if trial.timing is None:
        return MethodCost(method, as_in=as_in, fault=trial.fault)
    curriculum, timing = ready.curriculum, trial.timing
    if not own:
        steps = method_steps(curriculum, curriculum.stages[index], ready.tasks[index], method)
        timing = replace(timing, steps=steps)
    readings = timing.steps // curriculum.budget.every + 2
    seconds = timing.setup_seconds + timing.steps * timing.seconds_a_step + readings * reading_seconds
    return MethodCost(method, timing, seconds, trial.memory, as_in)


def _try(ready: Ready, index: int, name: str, folder: Path) -> Trial:
    curriculum, stage, budget = ready.curriculum, ready.curriculum.stages[index], ready.curriculum.budget
    method = curriculum.method(name)

    def job(watch: Watch) -> UpdateJob:
        return update_job(
            curriculum,
            ready.tasks,
            ready.world.policy,
            index + 1,
            method,
            seed=derive(curriculum.seed, "update", stage.name),
            folder=folder,
            watch=watch,
            controller=Controller(budget.penalty, budget.kl) if budget.enforces("penalty") else None,
        )

    try:
        with ready.world.largest_logits() as logits:
            timing = time_method(curriculum, ready.world, job, folder)
    except PerdureError as error:
        return Trial(index, name, fault=str(error))
    settings = settings_for(method, curriculum.train, stage.train)
    memory = memory_of(method, settings, ready.world.sizes, logits.bytes, on_host=on_host(ready))
    return Trial(index, name, timing, memory)


def on_host(ready: Ready) -> bool:
    """True where the policy is in the memory of the host."""
    return ready.world.resolved.get("device", "cpu").startswith("cpu")
