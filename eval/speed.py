"""The time that a scorecard needs, estimated from one batch of each column."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.policy import Policy
from perdure.curriculum.task import Task
from perdure.eval.benchmarks import BenchmarkSet, HeldoutItems, PreparedBenchmark
from perdure.eval.lm_eval.benchmark import LmBenchmark
from perdure.eval.task_score import score_task


@dataclass(frozen=True)
class Speed:
    """The seconds for `scored` of the `items` of a column."""

    name: str
    items: int
    scored: int
    seconds: float

    @property
    def total_seconds(self) -> float:
        """Seconds for all items, in batches of the same size."""
        return self.seconds * math.ceil(self.items / self.scored)


def scoring_speed(
    tasks: Sequence[Task], benchmarks: BenchmarkSet, policy: Policy, evaluation: Evaluation
) -> Iterator[Speed]:
    """Time one batch of the first items of each column, scored as the scorecard would.

    Raises:
        ConfigError, ModelError: as `Scorecard.score`.
    """
    for task in tasks:
        yield _task(task, policy, evaluation)
    for benchmark in benchmarks.benchmarks:
        yield _benchmark(benchmark, policy, evaluation)


def _task(task: Task, policy: Policy, evaluation: Evaluation) -> Speed:
    few = task.heldout[: evaluation.batch_size]
    begun = time.perf_counter()
    score_task(replace(task, heldout=few), policy, evaluation, "task")
    return Speed(task.name, len(task.heldout), len(few), time.perf_counter() - begun)


def _benchmark(benchmark: PreparedBenchmark, policy: Policy, evaluation: Evaluation) -> Speed:
    if isinstance(benchmark, HeldoutItems):
        return _task(benchmark.task, policy, evaluation)
    assert isinstance(benchmark, LmBenchmark), "there are two kinds of benchmarks"
    limit = benchmark.settings.limit
    sizes = [len(task.eval_docs) for task in benchmark.tasks]
    items = sum(size if limit is None else min(size, limit) for size in sizes)
    each = max(1, evaluation.batch_size // len(sizes))
    few = replace(benchmark, settings=benchmark.settings.model_copy(update={"limit": min(each, limit or each)}))
    begun = time.perf_counter()
    score, _ = few.score(policy, evaluation)
    return Speed(benchmark.name, items, max(1, score.n), time.perf_counter() - begun)
