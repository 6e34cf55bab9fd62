"""The scorecard: every task of the stream and every benchmark, after every stage.

A figure is kept under a key made of the weights, the data and the settings (`scores/<key>.jsonl`), so nothing is
scored twice, and a life that was interrupted while it was scored goes on where it was.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from perdure.budget.errors import ConfigError, ModelError, PerdureError
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Evaluation
from perdure.curriculum.task import Item, Task
from perdure.eval.benchmarks import Prepared, PreparedBenchmark
from perdure.eval.scorefile import (
    FOLDER,
    ItemResult,
    Kind,
    Score,
    file_key,
    make_score,
    read_scores,
    write_scores,
)
from perdure.eval.undisturbed import undisturbed

__all__ = ["CausalPolicy", "Score", "Scorecard", "Scored"]


@runtime_checkable
class CausalPolicy(Protocol):
    """A policy of the language world: what benchmarks need beyond `Policy`."""

    @property
    def model(self) -> Any: ...

    @property
    def tokenizer(self) -> Any: ...


class Scored(NamedTuple):
    """One score, and the file of its per-item results, relative to the run folder."""

    score: Score
    file: str


class Scorecard:
    """Scores a policy on all tasks (future ones too) and benchmarks of a life."""

    def __init__(self, tasks: Sequence[Task], benchmarks: Prepared, evaluation: Evaluation, folder: Path) -> None:
        self._tasks = tuple(tasks)
        self._benchmarks = benchmarks.benchmarks
        self._evaluation = evaluation
        self._folder = folder
        self._fingerprints = {task.name: task.fingerprint() for task in self._tasks}

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is scored, in order: tasks, then benchmarks."""
        return (*(task.name for task in self._tasks), *(benchmark.name for benchmark in self._benchmarks))

    def score(self, policy: Policy) -> Iterator[Scored]:
        """One score after another, as soon as it is known and on the disk.

        A task's answers are greedy. Its items are scored by its reward; where the reward does not apply (`None`) the
        item is dropped, and where it is not a finite number the item counts 0 and is counted in `Score.broken`. A task
        without a reward is scored by exact match to the demonstration, blanks at both ends aside. Generator states and
        the model's mode are left as they were.

        Raises:
            ConfigError: a reward fails, or returns something other than a number or `None` for each item.
            ModelError: there are benchmarks and the policy is no causal language model, or cannot be asked.
            OSError: the disk is full.
        """
        weights = policy.fingerprint()
        for task in self._tasks:
            yield self._cached(task.name, "task", self._task_key(task, weights), lambda t=task: self._ask(t, policy))
        for benchmark in self._benchmarks:
            parts = self._benchmark_key(benchmark, weights)
            yield self._cached(benchmark.name, "benchmark", parts, lambda b=benchmark: self._examine(b, policy))

    def _cached(self, name: str, kind: Kind, parts: dict[str, str], measure: Any) -> Scored:
        file = f"{FOLDER}/{file_key(parts | {'name': name, 'kind': kind})}.jsonl"
        kept = read_scores(self._folder / file)
        if kept is not None:
            return Scored(kept.score, file)
        score, items = measure()
        write_scores(self._folder / file, score, parts, items)
        return Scored(score, file)

    def _task_key(self, task: Task, weights: str) -> dict[str, str]:
        return {
            "weights": weights,
            "task": self._fingerprints[task.name],
            "reward": _reward_name(task),
            "max_completion_length": str(self._evaluation.max_completion_length),
            "batch_size": str(self._evaluation.batch_size),
        }

    def _benchmark_key(self, benchmark: PreparedBenchmark, weights: str) -> dict[str, str]:
        return {
            "weights": weights,
            "benchmark": benchmark.fingerprint,
            "batch_size": str(self._evaluation.batch_size),
        }

    def _ask(self, task: Task, policy: Policy) -> tuple[Score, list[ItemResult]]:
        model = policy.model if isinstance(policy, CausalPolicy) else None
        with undisturbed(model):
            answers = policy.respond(
                [item.prompt for item in task.heldout],
                max_completion_length=self._evaluation.max_completion_length,
                batch_size=self._evaluation.batch_size,
            )
            completions = [samples[0] for samples in answers]
            rewards = _rewards(task, completions)
        items = [
            _item_result(i, item, completion, reward)
            for i, (item, completion, reward) in enumerate(zip(task.heldout, completions, rewards, strict=True))
        ]
        broken = sum("note" in item.details for item in items)
        return make_score(task.name, "task", items, broken), items

    def _examine(self, benchmark: PreparedBenchmark, policy: Policy) -> tuple[Score, list[ItemResult]]:
        if not isinstance(policy, CausalPolicy):
            raise ModelError(f"benchmark {benchmark.name!r} needs a causal language model, which this policy is not")
        return benchmark.score(policy.model, policy.tokenizer, self._evaluation)


def _rewards(task: Task, completions: Sequence[str]) -> list[float | None]:
    """One figure an item, `None` where it cannot be judged."""
    if task.reward is None:
        return [_matches_demonstration(*pair) for pair in zip(task.heldout, completions, strict=True)]
    try:
        rewards = task.reward(task.heldout, completions)
        return [None if reward is None else float(reward) for _, reward in zip(completions, rewards, strict=True)]
    except PerdureError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the reward of task {task.name!r} failed on its held-out items: {type(error).__name__}: {error}"
        ) from error


def _matches_demonstration(item: Item, completion: str) -> float | None:
    return None if item.demonstration is None else float(completion.strip() == item.demonstration.strip())


def _item_result(index: int, item: Item, completion: str, reward: float | None) -> ItemResult:
    prompt = json.dumps(item.prompt, sort_keys=True, default=str)
    identity = sha256(json.dumps([prompt, item.answer, item.demonstration]).encode()).hexdigest()[:12]
    result = ItemResult(
        f"{index}:{identity}",
        reward,
        {"prompt_sha256": sha256(prompt.encode()).hexdigest(), "completion": completion, "answer": item.answer},
    )
    if reward is not None and not math.isfinite(reward):
        note = f"the reward was {reward}; counted as 0"
        return replace(result, score=0.0, details={**result.details, "note": note})
    return result


def _reward_name(task: Task) -> str:
    """What scores the task, by name; its settings are the curriculum's and do not change within a run."""
    if task.reward is None:
        return "exact match to the demonstration"
    named = task.reward if hasattr(task.reward, "__qualname__") else type(task.reward)
    return f"{named.__module__}.{named.__qualname__}"
