"""The scorecard: every task of the stream and every benchmark, after every stage.

A figure is kept under a key made of the weights, the data and the settings (`scores/<key>.jsonl`), so nothing is
scored twice, and a life that was interrupted while it was scored goes on where it was.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Evaluation
from perdure.curriculum.task import Task
from perdure.eval.benchmarks import Prepared
from perdure.eval.scorefile import FOLDER, Kind, Score, file_key, read_scores, write_scores
from perdure.eval.task_score import ask, reward_name


class Scored(NamedTuple):
    """One score, and the file of its per-item results, relative to the run folder."""

    score: Score
    file: str


class Scorecard:
    """Scores a policy on all tasks (future ones too) and benchmarks of a life."""

    def __init__(self, tasks: Sequence[Task], benchmarks: Prepared, evaluation: Evaluation, folder: Path) -> None:
        self._tasks = tuple(tasks)
        self._benchmarks = benchmarks.benchmarks
        self._benchmark_fingerprints = benchmarks.fingerprints
        self._evaluation = evaluation
        self._folder = folder
        self._fingerprints = {task.name: task.fingerprint() for task in self._tasks}

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is scored, in order: tasks, then benchmarks."""
        return (*(task.name for task in self._tasks), *(benchmark.name for benchmark in self._benchmarks))

    def score(self, policy: Policy) -> Iterator[Scored]:
        """One score after another, as soon as it is known and on the disk.

        Tasks are asked as `perdure.eval.task_score.ask` says, benchmarks as each says itself. Generator states and the
        model's mode are left as they were.

        Raises:
            ConfigError: a reward fails, or returns something other than a number or `None` for each item.
            ModelError: there are benchmarks that this policy cannot be asked.
            OSError: the disk is full.
        """
        weights = policy.fingerprint()
        for task in self._tasks:
            parts = self._key(weights, task=self._fingerprints[task.name], reward=reward_name(task))
            yield self._cached(task.name, "task", parts, lambda t=task: ask(t, policy, self._evaluation, "task"))
        for benchmark in self._benchmarks:
            parts = self._key(weights, benchmark=self._benchmark_fingerprints[benchmark.name])
            yield self._cached(
                benchmark.name, "benchmark", parts, lambda b=benchmark: b.score(policy, self._evaluation)
            )

    def _cached(self, name: str, kind: Kind, parts: dict[str, str], measure: Any) -> Scored:
        file = f"{FOLDER}/{file_key(parts | {'name': name, 'kind': kind})}.jsonl"
        kept = read_scores(self._folder / file)
        if kept is not None:
            return Scored(kept.score, file)
        score, items = measure()
        write_scores(self._folder / file, score, parts, items)
        return Scored(score, file)

    def _key(self, weights: str, **parts: str) -> dict[str, str]:
        """All that a score depends on."""
        return {
            "weights": weights,
            **parts,
            "max_completion_length": str(self._evaluation.max_completion_length),
            "batch_size": str(self._evaluation.batch_size),
            "temperature": str(self._evaluation.temperature),
        }
