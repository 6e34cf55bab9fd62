"""Which methods are tried on which stages, and what that says of the others."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from perdure.agent.planning.costs import MethodCost
from perdure.agent.planning.memory import Memory, largest_logits, memory_of, sizes_of
from perdure.agent.planning.timing import Timing, time_method
from perdure.agent.run.log import View
from perdure.agent.seeds import derive
from perdure.agent.setup import Ready
from perdure.agent.worlds.base_prompts import term_groups
from perdure.agent.worlds.registry import stage_steps
from perdure.agent.worlds.update import Beside
from perdure.budget.errors import PerdureError
from perdure.budget.penalty import Controller
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.contract import Method

MOST_SECONDS = 35.0
"""Once the trials took so long, a method that was tried in one stage is not tried in another."""


@dataclass(frozen=True)
class Trial:
    """What came of trying one method in one stage, counted from 0."""

    stage: int
    method: Method
    timing: Timing | None = None
    memory: Memory | None = None
    fault: str | None = None


def try_all(ready: Ready, folder: Path, view: View) -> list[Trial]:
    """Try every method once at least, and in each stage that may use it while there is time."""
    begun = time.perf_counter()
    trials: list[Trial] = []
    pairs = [(index, method) for index, methods in enumerate(ready.methods) for method in methods]
    order = sorted(pairs, key=lambda pair: sum(1 for other in pairs if other[1] == pair[1] and other[0] < pair[0]))
    for index, method in order:
        tried = any(trial.method == method for trial in trials)
        if tried and time.perf_counter() - begun > MOST_SECONDS:
            continue
        view.progress({"phase": f"trying {method} on {ready.tasks[index].name}"})
        trials.append(_try(ready, index, method, folder))
    return trials


def cost_of(ready: Ready, index: int, method: Method, trials: list[Trial], reading_seconds: float) -> MethodCost:
    """What the stage takes by a method: by its own trial, else by that of the first stage that had one."""
    own = [one for one in trials if (one.stage, one.method) == (index, method)]
    trial = own[0] if own else next(one for one in trials if one.method == method)
    as_in = None if own else ready.tasks[trial.stage].name
    if trial.timing is None:
        return MethodCost(method, as_in=as_in, fault=trial.fault)
    timing = trial.timing if own else replace(trial.timing, steps=_steps(ready, index, method))
    readings = timing.steps // ready.curriculum.budget.every + 2
    seconds = timing.setup_seconds + timing.steps * timing.seconds_a_step + readings * reading_seconds
    return MethodCost(method, timing, seconds, trial.memory, as_in)


def _steps(ready: Ready, index: int, method: Method) -> int:
    curriculum = ready.curriculum
    settings = settings_for(method, curriculum.train, curriculum.stages[index].train)
    return stage_steps(curriculum, method, settings, len(ready.tasks[index].train))


def _try(ready: Ready, index: int, method: Method, folder: Path) -> Trial:
    curriculum, stage, task = ready.curriculum, ready.curriculum.stages[index], ready.tasks[index]
    settings = settings_for(method, curriculum.train, stage.train)
    try:
        with largest_logits(ready.world) as logits:
            timing = time_method(
                ready.world,
                method,
                task,
                settings,
                seed=derive(curriculum.seed, "update", stage.name),
                folder=folder,
                beside=_beside(ready, index),
            )
    except PerdureError as error:
        return Trial(index, method, fault=str(error))
    return Trial(index, method, timing, memory_of(method, settings, sizes_of(ready.world), logits.bytes))


def _beside(ready: Ready, index: int) -> Beside:
    budget = ready.curriculum.budget
    return Beside(
        earlier=ready.tasks[:index],
        texts=term_groups(ready.curriculum, [task.name for task in ready.tasks[: index + 1]]),
        unit=budget.unit,
        controller=Controller(budget.penalty, budget.kl) if budget.enforces("penalty") else None,
    )
