"""The time that a scorecard needs, estimated from one batch of each column, or a quarter of one where that is slow.

Where a quarter of a batch takes `SLOW` seconds, the time grows with the items, and the whole batch would say no more.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.policy import Policy
from perdure.curriculum.task import Task
from perdure.eval.benchmarks import BenchmarkSet, HeldoutItems, PreparedBenchmark
from perdure.eval.lm_eval.benchmark import LmBenchmark
from perdure.eval.task_score import score_task

SLOW = 2.0
"""Seconds from which on a quarter of a batch stands for the whole."""


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
    def score(most: int) -> int:
        few = task.heldout[:most]
        score_task(replace(task, heldout=few), policy, evaluation, "task")
        return len(few)

    return _timed(task.name, len(task.heldout), score, evaluation.batch_size)


def _timed(name: str, items: int, score: Callable[[int], int], batch: int) -> Speed:
    """`score` asks at most so many items and says how many those were."""
    for most in sorted({max(1, batch // 4), batch}):
        begun = time.perf_counter()
        scored = score(most)
        seconds = time.perf_counter() - begun
        if scored == items or seconds >= SLOW:
            break
    return Speed(name, items, scored, seconds)


def _benchmark(benchmark: PreparedBenchmark, policy: Policy, evaluation: Evaluation) -> Speed:
    if isinstance(benchmark, HeldoutItems):
        return _task(benchmark.task, policy, evaluation)
    assert isinstance(benchmark, LmBenchmark), "there are two kinds of benchmarks"
    limit = benchmark.settings.limit
    sizes = [len(task.eval_docs) for task in benchmark.tasks]
    items = sum(size if limit is None else min(size, limit) for size in sizes)

    def score(most: int) -> int:
        each = max(1, most // len(sizes))
        few = replace(benchmark, settings=benchmark.settings.model_copy(update={"limit": min(each, limit or each)}))
        return max(1, few.score(policy, evaluation)[0].n)

    return _timed(benchmark.name, items, score, evaluation.batch_size)
