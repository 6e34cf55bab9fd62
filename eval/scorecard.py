"""The scorecard scores every task of the stream and every benchmark after every stage.

Each row of the table has a file a score (`scores/02-german.word.jsonl`), whose header holds a key of weights, data and
settings. A score whose key is known is not measured again, so that an interrupted run continues where it was: it is
read from the row's own file, or copied from that of another row with the same weights, or of an older version.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from perdure.budget import ranks
from perdure.budget.files import write_atomic
from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.policy import Policy
from perdure.curriculum.task import Task
from perdure.eval.benchmarks import BenchmarkSet, examined_by
from perdure.eval.scorefile import (
    FOLDER,
    Score,
    ScoreFile,
    ScoreKind,
    file_key,
    file_name,
    key_of,
    read_scores,
    write_scores,
)
from perdure.eval.task_score import autocast_of, score_task, scorer_of


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
        self._known: dict[str, Path] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that is scored, in order: tasks, then benchmarks."""
        return (*(task.name for task in self._tasks), *(benchmark.name for benchmark in self._benchmarks.benchmarks))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of the stages, then those whose held-out items are benchmarks."""
        return (*self._tasks, *self._benchmarks.tasks)

    @property
    def examined(self) -> frozenset[str]:
        """The questions that it asks."""
        return examined_by(self._tasks, self._benchmarks)

    def score(self, policy: Policy, row: str, fingerprint: str | None = None) -> Iterator[StoredScore]:
        """Yield each score once it is known and on the disk; preserves generator states and the model's mode.

        The names of its files begin with that of the `row` of the table, such as `02-german`. `fingerprint` is the
        policy's, where it is known.

        Raises:
            ConfigError: a reward fails, or does not return a number or `None` for each item.
            ModelError: a benchmark cannot be run on this policy.
            OSError: the disk is full.
        """
        weights = _weights(policy, fingerprint)
        for task in self._tasks:
            parts = self._key(weights, task=self._fingerprints[task.name], reward=scorer_of(task))
            file = file_name(row, task.name)
            yield self._cached(
                file, task.name, "task", parts, lambda t=task: score_task(t, policy, self._evaluation, "task")
            )
        for benchmark in self._benchmarks.benchmarks:
            parts = self._key(weights, benchmark=self._benchmark_fingerprints[benchmark.name])
            file = file_name(row, benchmark.name)
            yield self._cached(
                file, benchmark.name, "benchmark", parts, lambda b=benchmark: b.score(policy, self._evaluation)
            )

    def _cached(self, file: str, name: str, kind: ScoreKind, parts: dict[str, str], measure: Any) -> StoredScore:
        key, path = file_key(parts | {"name": name, "kind": kind}), self._folder / file
        stored = ranks.told(lambda: self._stored(key, path))
        if stored is not None:
            return StoredScore(stored.score, file)
        score, items = measure()
        if ranks.is_main():
            write_scores(path, score, parts, items)
            self._files()[key] = path
        return StoredScore(score, file)

    def _stored(self, key: str, path: Path) -> ScoreFile | None:
        """What is stored under a key, in `path` from now on; `None` if it is to be measured."""
        for candidate in (path, self._files().get(key)):
            stored = read_scores(candidate) if candidate is not None and key_of(candidate) == key else None
            if candidate is not None and stored is not None:
                if candidate != path:
                    write_atomic(path, candidate.read_bytes(), shared=True)
                return stored
        return None

    def _files(self) -> dict[str, Path]:
        """A file of each key that there was when the first score was asked for, and of each since."""
        if self._known is None:
            found = ((key_of(path), path) for path in sorted((self._folder / FOLDER).glob("*.jsonl")))
            self._known = {key: path for key, path in found if key is not None}
        return self._known

    def _key(self, weights: str, **parts: str) -> dict[str, str]:
        """Everything that a score depends on."""
        with_transformers = self._evaluation.generate_with == "transformers"
        return {
            "weights": weights,
            **parts,
            "max_completion_length": str(self._evaluation.max_completion_length),
            "batch_size": str(self._evaluation.batch_size),
            "temperature": str(self._evaluation.temperature),
            **({} if with_transformers else {"generate_with": self._evaluation.generate_with}),
        }


def _weights(policy: Policy, known: str | None = None) -> str:
    """The fingerprint, taken where it is not known; behind it the format in which autocast computes, where it is on."""
    autocast = autocast_of(policy)
    return (known or policy.fingerprint()) + ("" if autocast is None else f" {autocast}")
