"""Benchmarks: what the base can already do, prepared before a life begins, measured and never trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from perdure.budget.errors import DataError
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Benchmark, BenchmarkConfig, Evaluation, TaskBenchmark
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.contract import ModelSection
from perdure.curriculum.worlds.language.sources.common import derived_seed, prompt_key
from perdure.eval.scorefile import ItemResult, Score
from perdure.eval.task_score import ask, reward_name


class PreparedBenchmark(Protocol):
    """One benchmark, loaded: all that the scorecard knows of it."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that a score depends on but the policy and `evaluation`."""
        ...

    def score(self, policy: Policy, evaluation: Evaluation) -> tuple[Score, list[ItemResult]]:
        """The score and what it is made of; leaves generator states and the model's mode as they were."""
        ...


@dataclass(frozen=True)
class HeldoutItems:
    """The held-out items of a task as a benchmark. `task` has no training items, so that nothing can learn from it."""

    task: Task

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def fingerprint(self) -> str:
        return sha256(f"{self.task.fingerprint()}/{reward_name(self.task)}".encode()).hexdigest()

    def score(self, policy: Policy, evaluation: Evaluation) -> tuple[Score, list[ItemResult]]:
        """See `PreparedBenchmark.score`; scored as tasks are. Raises as `perdure.eval.task_score.ask`."""
        return ask(self.task, policy, evaluation, "benchmark")


@dataclass(frozen=True)
class Prepared:
    """All benchmarks of a life, loaded."""

    benchmarks: tuple[PreparedBenchmark, ...] = ()

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each benchmark by name."""
        return {benchmark.name: benchmark.fingerprint for benchmark in self.benchmarks}


def prepare_benchmarks(
    benchmarks: Sequence[BenchmarkConfig],
    folder: Path = Path(),
    *,
    seed: int = 0,
    model: ModelSection | None = None,
) -> Prepared:
    """Load the tasks and their data, so that every mistake shows before a model is loaded.

    A relative `include_path` is looked up in `folder`. `seed` is the curriculum's, and `model` its model section; the
    items of a task follow from the two and from the benchmark's name.

    Raises:
        ConfigError: an unknown task, metric or folder, a task that executes code, settings that do not fit.
        DataError: data that is missing or cannot be reached, or fewer examples than `num_fewshot`.
    """
    of_lm_eval = iter(_prepare_lm([one for one in benchmarks if isinstance(one, Benchmark)], folder))
    return Prepared(
        tuple(
            _heldout_items(one, seed, model) if isinstance(one, TaskBenchmark) else next(of_lm_eval)
            for one in benchmarks
        )
    )


def refuse_trained_on(benchmarks: Prepared, tasks: Sequence[Task]) -> None:
    """Refuse a benchmark with an item that a stage learns from.

    Raises:
        DataError: names both.
    """
    for benchmark in benchmarks.benchmarks:
        if not isinstance(benchmark, HeldoutItems):
            continue
        examined = {prompt_key(item) for item in benchmark.task.heldout}
        for task in tasks:
            shared = sum(prompt_key(item) in examined for item in task.train)
            if shared:
                raise DataError(
                    f"benchmark {benchmark.name!r}: {shared} of its {len(examined)} items are training items of stage "
                    f"{task.name!r}; a benchmark is never trained on: give the two other data or another split"
                )


def _prepare_lm(benchmarks: Sequence[Benchmark], folder: Path) -> list[PreparedBenchmark]:
    if not benchmarks:
        return []
    from perdure.eval.lm_eval.benchmark import prepare_lm_benchmark
    from perdure.eval.lm_eval.tasks import TaskLibrary
    from perdure.eval.preserve_rng import undisturbed

    with undisturbed():
        library = TaskLibrary(folder)
        return [prepare_lm_benchmark(benchmark, library) for benchmark in benchmarks]


def _heldout_items(benchmark: TaskBenchmark, seed: int, model: ModelSection | None) -> HeldoutItems:
    own_seed = derived_seed(seed, f"benchmark/{benchmark.name}")
    return HeldoutItems(build_task(benchmark.task, name=benchmark.name, seed=own_seed, model=model, train=False))
