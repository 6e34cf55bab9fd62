"""Benchmarks: skills of the base, loaded before a run begins, measured and never trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from perdure.curriculum.evaluation import Benchmark, Evaluation
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import BenchmarkConfig, TaskBenchmark
from perdure.curriculum.task import Task, derived_seed, questions
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.contract import ModelSection
from perdure.eval.scorefile import ItemResult, Score
from perdure.eval.task_score import ask_task, score_task, scorer_of


class PreparedBenchmark(Protocol):
    """One loaded benchmark, as the scorecard sees it."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that a score depends on except the policy and `evaluation`."""
        ...

    @property
    def examined(self) -> frozenset[str]:
        """The questions it asks, as `perdure.curriculum.task.question` writes them."""
        ...

    def refuse_unfit(self, policy: Policy) -> None:
        """Raise ModelError if the policy cannot be asked."""
        ...

    def score(self, policy: Policy, evaluation: Evaluation) -> tuple[Score, list[ItemResult]]:
        """The score and its items; preserves generator states and the model's mode."""
        ...

    @property
    def one_by_one(self) -> bool:
        """True if its score is the mean of its items, so that some can be asked alone."""
        ...

    def ask(self, policy: Policy, evaluation: Evaluation, places: Sequence[int]) -> list[ItemResult]:
        """The results of some items, by their places, with which their ids begin; as `score`."""
        ...


@dataclass(frozen=True)
class HeldoutItems:
    """The held-out items of a task as a benchmark. `task` has no training items."""

    task: Task

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def fingerprint(self) -> str:
        return sha256(f"{self.task.fingerprint()}/{scorer_of(self.task)}".encode()).hexdigest()

    @property
    def examined(self) -> frozenset[str]:
        return questions(self.task.heldout)

    def refuse_unfit(self, policy: Policy) -> None:
        """Its items are a task's (see `BenchmarkSet.tasks`), which the world looks at."""

    def score(self, policy: Policy, evaluation: Evaluation) -> tuple[Score, list[ItemResult]]:
        """Scored as tasks are: see `PreparedBenchmark.score` and `perdure.eval.task_score.score_task`."""
        return score_task(self.task, policy, evaluation, "benchmark")

    @property
    def one_by_one(self) -> bool:
        return True

    def ask(self, policy: Policy, evaluation: Evaluation, places: Sequence[int]) -> list[ItemResult]:
        """See `PreparedBenchmark.ask`."""
        return ask_task(self.task, policy, evaluation, places)


@dataclass(frozen=True)
class BenchmarkSet:
    """All benchmarks of a run, loaded."""

    benchmarks: tuple[PreparedBenchmark, ...] = ()

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each benchmark by name."""
        return {benchmark.name: benchmark.fingerprint for benchmark in self.benchmarks}

    def fitted(self, fit: Callable[[Sequence[Task]], tuple[Task, ...]]) -> "BenchmarkSet":
        """The set with the items of tasks as a policy takes them."""
        fitting = (HeldoutItems(*fit([one.task])) if isinstance(one, HeldoutItems) else one for one in self.benchmarks)
        return BenchmarkSet(tuple(fitting))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks whose held-out items are benchmarks."""
        return tuple(one.task for one in self.benchmarks if isinstance(one, HeldoutItems))

    def refuse_unfit(self, policy: Policy) -> None:
        """Refuse benchmarks that the policy cannot be asked.

        Raises:
            ModelError: names the benchmark.
        """
        for benchmark in self.benchmarks:
            benchmark.refuse_unfit(policy)


def prepare_benchmarks(
    benchmarks: Sequence[BenchmarkConfig],
    folder: Path = Path(),
    *,
    seed: int = 0,
    model: ModelSection | None = None,
) -> BenchmarkSet:
    """Load the tasks and their data, so that every mistake shows before a model is loaded.

    A relative `include_path` is below `folder`. `seed` and `model` are the curriculum's; they and the benchmark's name
    determine the items of a task.

    Raises:
        ConfigError: an unknown task, metric or folder, a task that executes code, or invalid settings.
        DataError: data that is missing or unreachable, or fewer examples than `num_fewshot`.
    """
    lm_benchmarks = iter(_prepare_lm([one for one in benchmarks if isinstance(one, Benchmark)], folder))
    return BenchmarkSet(
        tuple(
            _heldout_items(one, seed, model) if isinstance(one, TaskBenchmark) else next(lm_benchmarks)
            for one in benchmarks
        )
    )


def examined_by(tasks: Sequence[Task], benchmarks: BenchmarkSet) -> frozenset[str]:
    """The questions on which a run is examined, by its tasks and its benchmarks."""
    none: frozenset[str] = frozenset()
    return none.union(*(questions(task.heldout) for task in tasks), *(one.examined for one in benchmarks.benchmarks))


def _prepare_lm(benchmarks: Sequence[Benchmark], folder: Path) -> list[PreparedBenchmark]:
    if not benchmarks:
        return []
    from perdure.eval.lm_eval.benchmark import prepare_lm_benchmark
    from perdure.eval.lm_eval.tasks import TaskLibrary
    from perdure.eval.preserve_rng import preserve_rng

    with preserve_rng():
        library = TaskLibrary(folder)
        return [prepare_lm_benchmark(benchmark, library) for benchmark in benchmarks]


def _heldout_items(benchmark: TaskBenchmark, seed: int, model: ModelSection | None) -> HeldoutItems:
    seed = derived_seed(seed, f"benchmark/{benchmark.name}")
    return HeldoutItems(build_task(benchmark.task, name=benchmark.name, seed=seed, model=model, train=False))
