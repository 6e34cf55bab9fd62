"""The CPU time of steps that sample and of a benchmark, with a prompt computed once for all of its answers, and not."""

import time
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import Progress, UpdateJob
from perdure.agent.worlds.language.loading import load_base, load_policy
from perdure.curriculum.evaluation import Benchmark, Evaluation
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.eval.benchmarks import prepare_benchmarks
from tests.bench.figures import Figure, Options, Report, Series, Target, against
from tests.bench.material import STAGE, TOKENS, large_curriculum, save_large_model, tiny_curriculum

TARGETS = {"rl": 2.5, "tilt": 2.5, "chord": 1.8}
STEPS, REPEATS, ITEMS = 16, 3, 32
LARGE = {"max_steps": 3, "num_generations": 8, "per_device_train_batch_size": 16, "max_completion_length": TOKENS}


def measure(options: Options) -> Report:
    """The built-in model by three methods, a large one by RL, and choices; each pair one after the other."""
    figures = [_figure(f"{name}, builtin:tiny", tiny_curriculum(name, steps=STEPS), TARGETS[name]) for name in TARGETS]
    with TemporaryDirectory() as scratch:
        model = options.model or Path(scratch)
        if options.model is None:
            save_large_model(model)
        large = large_curriculum(model.absolute(), 1, LARGE, {})
        figures.append(_figure(f"rl, 135 M parameters, {TOKENS} + {TOKENS} tokens", large, 1.5, method="rl", repeats=1))
        figures.append(_choices_figure("choices, builtin:tiny", CausalModel(model_name_or_path="builtin:tiny")))
        figures.append(_choices_figure("choices, 135 M parameters", CausalModel(model_name_or_path=str(model))))
    return Report(tuple(figures), (NOTE,))


NOTE = (
    f"Median CPU seconds of a step, without the first, of an update of {STEPS} steps at 8 prompts of 8 answers; the "
    f"large model: {LARGE['max_steps']} steps of 2 prompts of 8 answers. `prefix_caching` on and off, by turns. "
    f"Choices: {ITEMS} items of `perdure_largest` after three examples, which have three choices of some letters each."
)


def _figure(
    name: str, curriculum: Curriculum, target: float, method: str | None = None, repeats: int = REPEATS
) -> Figure:
    shared, apart = [], []
    for _ in range(repeats):
        shared.append(_seconds_of_step(curriculum, method, prefix_caching=True))
        apart.append(_seconds_of_step(curriculum, method, prefix_caching=False))
    bound = Target("at least", target, "×")
    return against(name, Series(tuple(shared), "s"), Series(tuple(apart), "s"), bound, inverse=True)


def _choices_figure(name: str, model: CausalModel) -> Figure:
    benchmark = Benchmark(tasks="perdure_largest", include_path="builtin", num_fewshot=3, limit=ITEMS)
    (prepared,) = prepare_benchmarks([benchmark]).benchmarks
    policy = load_policy(model, seed=0)
    times: dict[bool, list[float]] = {True: [], False: []}
    for share in (True, False) * (REPEATS + 1):
        policy.prefix_caching = share
        began = time.process_time()
        prepared.score(policy, Evaluation(batch_size=64))
        times[share].append(time.process_time() - began)
    shared, apart = (Series(tuple(times[share][1:]), "s") for share in (True, False))  # the first one warms up
    return against(name, shared, apart, Target("at least", 1.5, "×"), inverse=True)


def _seconds_of_step(curriculum: Curriculum, method: str | None, *, prefix_caching: bool) -> float:
    parsed = curriculum.method(method or curriculum.strategy.method)  # type: ignore[union-attr]
    model: Any = curriculum.model.model_copy(update={"prefix_caching": prefix_caching})
    policy = load_policy(model, seed=0)
    policy.load_base = lambda: load_base(model)
    task = build_task(curriculum.stages[0].task, name=STAGE, seed=derive(curriculum.seed, "task", STAGE))
    settings = settings_for(parsed, curriculum.train, curriculum.stages[0].train)
    times: list[float] = []

    def watch(_: Progress) -> bool:
        times.append(time.process_time())
        return False

    with TemporaryDirectory() as folder:
        job = UpdateJob(parsed, policy, _rewarded(task), settings, 0, Path(folder), watch)
        import_module(parsed.objective.code).update(job)
    return median(after - before for before, after in pairwise(times))


def _rewarded(task: Task) -> Task:
    """The task with a reward; that of the large model's is the length of the answer."""
    if task.reward is not None:
        return task
    return replace(
        task, reward=lambda items, completions, completion_ids=None: [float(len(one)) for one in completions]
    )
