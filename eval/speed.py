"""How long a scorecard takes, from one batch of each of its columns."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Evaluation
from perdure.curriculum.task import Task
from perdure.eval.benchmarks import HeldoutItems, Prepared, PreparedBenchmark
from perdure.eval.lm_eval.benchmark import LmBenchmark
from perdure.eval.task_score import ask


@dataclass(frozen=True)
class Speed:
    """What it took to ask some of the items of a column, of which there are `items`."""

    name: str
    items: int
    asked: int
    seconds: float

    @property
    def whole(self) -> float:
        """Seconds for all items, in batches as large as the one that was asked."""
        return self.seconds * math.ceil(self.items / self.asked)


def scoring_speed(
    tasks: Sequence[Task], benchmarks: Prepared, policy: Policy, evaluation: Evaluation
) -> Iterator[Speed]:
    """One column after another: a batch of its first items is asked, as the scorecard would, and timed.

    Raises:
        ConfigError, ModelError: as `Scorecard.score`.
    """
    for task in tasks:
        yield _asked(task, policy, evaluation)
    for benchmark in benchmarks.benchmarks:
        yield _benchmark(benchmark, policy, evaluation)


def _asked(task: Task, policy: Policy, evaluation: Evaluation) -> Speed:
    few = task.heldout[: evaluation.batch_size]
    begun = time.perf_counter()
    ask(replace(task, heldout=few), policy, evaluation, "task")
    return Speed(task.name, len(task.heldout), len(few), time.perf_counter() - begun)


def _benchmark(benchmark: PreparedBenchmark, policy: Policy, evaluation: Evaluation) -> Speed:
    if isinstance(benchmark, HeldoutItems):
        return _asked(benchmark.task, policy, evaluation)
    assert isinstance(benchmark, LmBenchmark), "the two kinds of benchmarks there are"
    limit = benchmark.settings.limit
    sizes = [len(task.eval_docs) for task in benchmark.tasks]
    items = sum(size if limit is None else min(size, limit) for size in sizes)
    each = max(1, evaluation.batch_size // len(sizes))
    few = replace(benchmark, settings=benchmark.settings.model_copy(update={"limit": min(each, limit or each)}))
    begun = time.perf_counter()
    score, _ = few.score(policy, evaluation)
    return Speed(benchmark.name, items, max(1, score.n), time.perf_counter() - begun)
