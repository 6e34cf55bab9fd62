"""The scorecard scores every task of the stream and every benchmark after every stage.

A score is stored under a key of weights, data and settings (`scores/<key>.jsonl`), so that nothing is scored twice and
an interrupted run continues where it was.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.policy import Policy
from perdure.curriculum.task import Task
from perdure.eval.benchmarks import BenchmarkSet, examined_by
from perdure.eval.scorefile import FOLDER, Score, ScoreKind, file_key, read_scores, write_scores
from perdure.eval.task_score import score_task, scorer_of


class StoredScore(NamedTuple):
    """One score, and the file of its per-item results, relative to the run folder."""

    score: Score
    file: str


class Scorecard:
    """Scores a policy on all tasks of a run, future ones included, and its benchmarks."""

    def __init__(self, tasks: Sequence[Task], benchmarks: BenchmarkSet, evaluation: Evaluation, folder: Path) -> None:
        self._tasks = tuple(tasks)
        self._benchmarks = benchmarks
        self._benchmark_fingerprints = benchmarks.fingerprints
        self._evaluation = evaluation
        self._folder = folder
        self._fingerprints = {task.name: task.fingerprint() for task in self._tasks}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that is scored, in order: tasks, then benchmarks."""
        return (*(task.name for task in self._tasks), *(benchmark.name for benchmark in self._benchmarks.benchmarks))

    @property
    def examined(self) -> frozenset[str]:
        """The questions that it asks."""
        return examined_by(self._tasks, self._benchmarks)

    def score(self, policy: Policy) -> Iterator[StoredScore]:
        """Yield each score once it is known and on the disk; preserves generator states and the model's mode.

        Raises:
            ConfigError: a reward fails, or does not return a number or `None` for each item.
            ModelError: a benchmark cannot be run on this policy.
            OSError: the disk is full.
        """
        weights = policy.fingerprint()
        for task in self._tasks:
            parts = self._key(weights, task=self._fingerprints[task.name], reward=scorer_of(task))
            yield self._cached(task.name, "task", parts, lambda t=task: score_task(t, policy, self._evaluation, "task"))
        for benchmark in self._benchmarks.benchmarks:
            parts = self._key(weights, benchmark=self._benchmark_fingerprints[benchmark.name])
            yield self._cached(
                benchmark.name, "benchmark", parts, lambda b=benchmark: b.score(policy, self._evaluation)
            )

    def _cached(self, name: str, kind: ScoreKind, parts: dict[str, str], measure: Any) -> StoredScore:
        file = f"{FOLDER}/{file_key(parts | {'name': name, 'kind': kind})}.jsonl"
        stored = read_scores(self._folder / file)
        if stored is not None:
            return StoredScore(stored.score, file)
        score, items = measure()
        write_scores(self._folder / file, score, parts, items)
        return StoredScore(score, file)

    def _key(self, weights: str, **parts: str) -> dict[str, str]:
        """Everything that a score depends on."""
        return {
            "weights": weights,
            **parts,
            "max_completion_length": str(self._evaluation.max_completion_length),
            "batch_size": str(self._evaluation.batch_size),
            "temperature": str(self._evaluation.temperature),
        }
