"""Asks a policy the held-out items of a task, and scores what it answers by the task's reward."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple, Protocol, runtime_checkable
from weakref import finalize

from perdure.budget.errors import ConfigError, PerdureError
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Evaluation
from perdure.curriculum.task import Item, Task
from perdure.eval.preserve_rng import undisturbed
from perdure.eval.scorefile import ItemResult, Kind, Score, make_score

SEED = 0
"""Of sampled answers. Scores of several policies are compared item by item, so all have the same draws."""


@runtime_checkable
class CausalPolicy(Protocol):
    """A policy of the language world: what lm-eval needs beyond `Policy`."""

    @property
    def model(self) -> Any: ...

    @property
    def tokenizer(self) -> Any: ...


def ask(task: Task, policy: Policy, evaluation: Evaluation, kind: Kind) -> tuple[Score, list[ItemResult]]:
    """The score of the answers to the held-out items, and what it is made of.

    Answers are greedy, or sampled where `evaluation.temperature` is above 0: the same draws for every policy.

    Items are scored by the reward; where it does not apply (`None`) the item is dropped, and where it is not a finite
    number the item counts 0 and is counted in `Score.broken`. A task without a reward is scored by exact match to the
    demonstration, blanks at both ends aside. Generator states and the model's mode are left as they were.

    Raises:
        ConfigError: the reward fails, or returns something other than a number or `None` for each item.
    """
    model = policy.model if isinstance(policy, CausalPolicy) else None
    with undisturbed(model):
        answers = policy.respond(
            [item.prompt for item in task.heldout],
            max_completion_length=evaluation.max_completion_length,
            batch_size=evaluation.batch_size,
            temperature=evaluation.temperature,
            seed=SEED,
        )
        completions = [samples[0] for samples in answers]
        rewards = _rewards(task, completions)
    items = [_item_result(*one) for one in zip(_asked(task), completions, rewards, strict=True)]
    broken = sum("note" in item.details for item in items)
    return make_score(task.name, kind, items, broken), items


def reward_name(task: Task) -> str:
    """What scores the task, by name; its settings are the curriculum's and do not change within a run."""
    if task.reward is None:
        return "exact match to the demonstration"
    named = task.reward if hasattr(task.reward, "__qualname__") else type(task.reward)
    return f"{named.__module__}.{named.__qualname__}"


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


class _Asked(NamedTuple):
    """What a result says of an item, whatever was answered."""

    id: str
    prompt_sha256: str
    answer: str | None


_ASKED: dict[int, tuple[_Asked, ...]] = {}
"""Of every task that was asked and is still there, by its identity: a life asks each once a stage."""


def _asked(task: Task) -> tuple[_Asked, ...]:
    """Of each held-out item, made once a task."""
    key = id(task)
    if key not in _ASKED:
        _ASKED[key] = tuple(_identified(*one) for one in enumerate(task.heldout))
        finalize(task, _ASKED.pop, key)
    return _ASKED[key]


def _identified(index: int, item: Item) -> _Asked:
    prompt = json.dumps(item.prompt, sort_keys=True, default=str)
    identity = sha256(json.dumps([prompt, item.answer, item.demonstration]).encode()).hexdigest()[:12]
    return _Asked(f"{index}:{identity}", sha256(prompt.encode()).hexdigest(), item.answer)


def _item_result(asked: _Asked, completion: str, reward: float | None) -> ItemResult:
    details = {"prompt_sha256": asked.prompt_sha256, "completion": completion, "answer": asked.answer}
    result = ItemResult(asked.id, reward, details)
    if reward is not None and not math.isfinite(reward):
        note = f"the reward was {reward}; counted as 0"
        return replace(result, score=0.0, details={**result.details, "note": note})
    return result
