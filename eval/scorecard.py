"""The scorecard scores every task of the stream and every benchmark after every stage.

Each row of the table has a file a score (`scores/02-german.word.jsonl`), whose header holds a key of weights, data and
settings. A score whose key is known is not measured again, so that an interrupted run continues where it was: it is
read from the row's own file, or copied from that of another row with the same weights, or of an older version.

With `evaluation.items: adaptive` a stage's scores are asked in batches until they are known well enough
(`perdure/eval/adaptive.py`). Always asked in full are the base, the last row, of a task the rows of its own stage and
before it, and benchmarks whose score is no mean of its items: so all metrics but the best row of `forgetting` are of
scores that were asked in full.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from perdure.budget import ranks
from perdure.budget.files import write_atomic
from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.policy import Policy
from perdure.curriculum.task import Task
from perdure.eval.adaptive import Adaptive, Ask, adaptive
from perdure.eval.benchmarks import BenchmarkSet, examined_by
from perdure.eval.scorefile import (
    BASE_ROW,
    FOLDER,
    ItemResult,
    Score,
    ScoreFile,
    ScoreKind,
    file_key,
    file_name,
    key_of,
    read_scores,
    write_scores,
)
from perdure.eval.task_score import ask_task, autocast_of, score_task, scorer_of


class StoredScore(NamedTuple):
    """One score, and the file of its per-item results, relative to the run folder."""

    score: Score
    file: str


@dataclass(frozen=True)
class _Column:
    """A task or benchmark, the key of its score, and how it is asked: in full, or in part (`None`: never)."""

    name: str
    kind: ScoreKind
    key: dict[str, str]
    score: Callable[[], tuple[Score, list[ItemResult]]]
    ask: Ask | None


class Scorecard:
    """Scores a policy on all tasks of a run, future ones included, and its benchmarks.

    `seed` is the curriculum's; by it the order is drawn in which items are asked.
    """

    def __init__(
        self, tasks: Sequence[Task], benchmarks: BenchmarkSet, evaluation: Evaluation, folder: Path, *, seed: int = 0
    ) -> None:
        self._tasks = tuple(tasks)
        self._benchmarks = benchmarks
        self._benchmark_fingerprints = benchmarks.fingerprints
        self._evaluation = evaluation
        self._folder = folder
        self._seed = seed
        self._fingerprints = {task.name: task.fingerprint() for task in self._tasks}
        self._known: dict[str, Path] | None = None
        self._bases: dict[str, ScoreFile] = {}

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

    def score(self, policy: Policy, row: str, fingerprint: str | None = None, stage: int = 0) -> Iterator[StoredScore]:
        """Yield each score once it is known and on the disk; preserves generator states and the model's mode.

        The names of its files begin with that of the `row` of the table, such as `02-german`. `fingerprint` is the
        policy's, where it is known. `stage` is the number of the stage that was learned; at 0 all is asked in full.

        Raises:
            ConfigError: a reward fails, or does not return a number or `None` for each item.
            ModelError: a benchmark cannot be run on this policy.
            OSError: the disk is full.
        """
        for column in self._columns(policy, _weights(policy, fingerprint)):
            yield self._score(column, file_name(row, column.name), stage)

    def _columns(self, policy: Policy, weights: str) -> Iterator[_Column]:
        evaluation = self._evaluation
        for task in self._tasks:
            key = self._key(weights, task=self._fingerprints[task.name], reward=scorer_of(task))
            yield _Column(
                task.name,
                "task",
                key,
                lambda t=task: score_task(t, policy, evaluation, "task"),  # type: ignore[misc]
                lambda places, t=task: ask_task(t, policy, evaluation, places),  # type: ignore[misc]
            )
        for benchmark in self._benchmarks.benchmarks:
            key = self._key(weights, benchmark=self._benchmark_fingerprints[benchmark.name])
            yield _Column(
                benchmark.name,
                "benchmark",
                key,
                lambda b=benchmark: b.score(policy, evaluation),  # type: ignore[misc]
                (lambda places, b=benchmark: b.ask(policy, evaluation, places)) if benchmark.one_by_one else None,  # type: ignore[misc]
            )

    def _score(self, column: _Column, file: str, stage: int) -> StoredScore:
        """A score that is known in full, or else asked, in part where that is allowed."""
        in_part = None if column.ask is None else self._in_part(column.name, stage)
        if column.ask is None or in_part is None:
            return self._cached(column, file, column.key, column.score)
        path, known = self._folder / file, _file_key(column, column.key)
        stored = ranks.told(lambda: self._stored(known, path))
        if stored is not None:
            return StoredScore(stored.score, file)
        ask = column.ask
        return self._cached(column, file, column.key | in_part.key, lambda: in_part.score(column.kind, ask))

    def _in_part(self, name: str, stage: int) -> Adaptive | None:
        """How a column is asked in part in the row of a stage; `None`: it is asked in full."""
        stages = [task.name for task in self._tasks]
        if stage in (0, len(stages)) or name in stages[stage - 1 : stage + 1] or self._evaluation.items == "all":
            return None
        if name not in self._bases:
            found = ranks.told(lambda: self._base(name))
            if found is None:
                return None
            self._bases[name] = found
        return adaptive(self._evaluation, self._bases[name], self._seed)

    def _base(self, name: str) -> ScoreFile | None:
        """The base's scores, without the texts."""
        found = read_scores(self._folder / file_name(BASE_ROW, name))
        return None if found is None else replace(found, items=tuple(ItemResult(i.id, i.score) for i in found.items))

    def _cached(
        self, column: _Column, file: str, parts: dict[str, str], measure: Callable[[], tuple[Score, list[ItemResult]]]
    ) -> StoredScore:
        key, path = _file_key(column, parts), self._folder / file
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


def _file_key(column: _Column, parts: dict[str, str]) -> str:
    return file_key(parts | {"name": column.name, "kind": column.kind})


def _weights(policy: Policy, known: str | None = None) -> str:
    """The fingerprint, taken where it is not known; behind it what else decides the policy's answers, where it says so.

    That is the format in which autocast computes, where it is on, and a `meaning` that its weights have (a VLA's).
    """
    more = (autocast_of(policy), getattr(policy, "meaning", None))
    return " ".join([known or policy.fingerprint(), *(str(one) for one in more if one is not None)])
