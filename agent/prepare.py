"""Checks and loads everything that a run is made of, cheap faults first. Writes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perdure.agent.decide import method_steps, possible_methods
from perdure.agent.law_of_run import is_of_other_probe, law_for
from perdure.agent.run.log import View
from perdure.agent.strategies import make_strategy
from perdure.agent.strategies.contract import Strategy
from perdure.agent.strategies.rungs import plan_rungs
from perdure.agent.tasks import build_tasks, keep_apart
from perdure.agent.worlds.base_prompts import base_prompts
from perdure.agent.worlds.contract import World
from perdure.agent.worlds.registry import make_world, refuse_settings
from perdure.budget.heap import uncollected
from perdure.budget.law.saved import Law
from perdure.curriculum.import_path import search_code_in
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.strategies import FixedStrategy, RaceStrategy, Trying
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.build import check_learnable
from perdure.eval.benchmarks import BenchmarkSet, examined_by, prepare_benchmarks
from perdure.eval.sampled_rewards import set_aside


@dataclass(frozen=True)
class Ready:
    """The parts of a run that are checked and loaded before its folder is made; `methods` are those of each stage."""

    curriculum: Curriculum
    tasks: tuple[Task, ...]
    methods: tuple[tuple[str, ...], ...]
    benchmarks: BenchmarkSet
    world: World
    law: Law | None
    strategy: Strategy

    @property
    def law_of_other_base(self) -> bool:
        """True if the law was fitted on another base than the run's."""
        return self.law is not None and self.law.base != self.world.base_id

    @property
    def law_of_other_probe(self) -> bool:
        """True if the law was fitted to KL on a generic probe of other texts than the run's."""
        return self.law is not None and is_of_other_probe(self.law, self.curriculum)


def prepare(curriculum: Curriculum, view: View, make: Callable[[Curriculum], World] = make_world) -> Ready:
    """Cheap faults first: data, then train settings, then benchmarks, and the model last."""
    view.progress({"phase": "reading the tasks"})
    search_code_in(curriculum.code_dir)
    tasks = build_tasks(curriculum)
    methods = [_possible_methods(curriculum, *pair) for pair in zip(curriculum.stages, tasks, strict=True)]
    base_prompts(curriculum, tasks)
    view.progress({"phase": "loading the libraries"})
    with uncollected():  # most of it is imports
        _refuse_settings(curriculum, tasks, methods)
    _refuse_rungs(curriculum, tasks, methods)
    strategy = make_strategy(curriculum)
    view.progress({"phase": "reading the benchmarks"})
    with uncollected():
        benchmarks = prepare_benchmarks(curriculum.benchmarks, seed=curriculum.seed, model=curriculum.model)
    apart = keep_apart(curriculum, tasks, benchmarks)
    if apart != tasks:
        tasks = apart
        _refuse_settings(curriculum, tasks, methods)
    examined = examined_by(tasks, benchmarks)
    base_prompts(curriculum, tasks, examined)
    view.progress({"phase": "preparing the base"})
    world = make(curriculum)
    prompts = base_prompts(curriculum, tasks, examined, world)
    for warning in world.warnings:
        view.say(warning)
    tasks, benchmarks = world.fitted(tasks), benchmarks.fitted(world.fitted)
    world.refuse_unfit(tasks, methods, benchmarks.tasks, prompts)
    benchmarks.refuse_unfit(world.policy)
    return Ready(curriculum, tasks, tuple(map(tuple, methods)), benchmarks, world, law_for(curriculum, world), strategy)


def _possible_methods(curriculum: Curriculum, stage: Stage, task: Task) -> Sequence[str]:
    """The methods that a stage may come to use, now that its data is known."""
    own = stage.method or (curriculum.strategy.method if isinstance(curriculum.strategy, FixedStrategy) else None)
    if own is None:
        return possible_methods(curriculum, task)
    method = curriculum.method(own)
    check_learnable(task, method, curriculum.spec)
    return [method.name]


def _refuse_settings(curriculum: Curriculum, tasks: Sequence[Task], methods: Sequence[Sequence[str]]) -> None:
    trained_on = [_trained_on(curriculum, *one) for one in zip(curriculum.stages, tasks, strict=True)]
    refuse_settings(curriculum, trained_on, methods)


def _refuse_rungs(curriculum: Curriculum, tasks: Sequence[Task], methods: Sequence[Sequence[str]]) -> None:
    """Refuse a race in a stage that is too short for it. Raises ConfigError."""
    strategy = curriculum.strategy
    for stage, task, names in zip(curriculum.stages, tasks, methods, strict=True):
        if isinstance(strategy, RaceStrategy) and len(names) > 1:
            plan_rungs(strategy, stage.name, {name: method_steps(curriculum, stage, task, name) for name in names})


def _trained_on(curriculum: Curriculum, stage: Stage, task: Task) -> Task:
    """The task with the fewest items that an update of the stage is made on: a trial sets some aside."""
    strategy = curriculum.strategy
    tries = stage.method is None and isinstance(strategy, Trying)
    return set_aside(task, strategy.num_prompts)[0] if tries else task  # type: ignore[union-attr]
