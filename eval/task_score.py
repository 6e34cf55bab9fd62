"""Scores a policy's answers to the held-out items of a task by the task's reward."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple, Protocol, runtime_checkable
from weakref import finalize

from perdure.budget import ranks
from perdure.budget.errors import ConfigError, PerdureError
from perdure.curriculum.counting import expect
from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.policy import Policy
from perdure.curriculum.task import Item, Task, expected, matches_demonstration, scorer_key, shown
from perdure.eval.preserve_rng import preserve_rng
from perdure.eval.scorefile import ItemResult, Score, ScoreKind, make_score

SEED = 0
"""Seed of sampled answers: every policy gets the same draws, so that scores compare item by item."""


@runtime_checkable
class CausalPolicy(Protocol):
    """A policy of the language world, with what lm-eval needs beyond `Policy`."""

    @property
    def model(self) -> Any: ...

    @property
    def tokenizer(self) -> Any: ...


def autocast_of(policy: Any) -> Any:
    """The dtype in which autocast computes a policy; `None`: it is off."""
    return getattr(policy, "autocast_dtype", None)


def score_task(task: Task, policy: Policy, evaluation: Evaluation, kind: ScoreKind) -> tuple[Score, list[ItemResult]]:
    """The score of the answers to the held-out items, and its items; preserves generator states and the model's mode.

    Answers are greedy, or sampled if `evaluation.temperature` is above 0, with the same draws for every policy.

    An item is dropped if the reward does not apply (`None`), and counts 0 and as `Score.broken` if it is not finite. A
    task without a reward is scored by exact match to the demonstration, surrounding blanks ignored.

    Raises:
        ConfigError: the reward fails, or does not return a number or `None` for each item.
    """
    items = ask_task(task, policy, evaluation, range(len(task.heldout)))
    broken = sum("note" in item.details for item in items)
    return make_score(task.name, kind, items, broken), items


def ask_task(task: Task, policy: Policy, evaluation: Evaluation, places: Sequence[int]) -> list[ItemResult]:
    """The results of some held-out items, by their places. Preserves, drops and raises as `score_task`."""
    model = policy.model if isinstance(policy, CausalPolicy) else None
    asked = [task.heldout[place] for place in places]
    expect(len(asked))
    with preserve_rng(model):
        answers = policy.respond(
            [item.prompt for item in asked],
            max_completion_length=evaluation.max_completion_length,
            batch_size=evaluation.batch_size,
            temperature=evaluation.temperature,
            seed=SEED,
        )
        truncated = getattr(policy, "truncated", None) or [False] * len(answers)
        completions = [samples[0] for samples in answers]
        rewards = ranks.told(lambda: _rewards(task, asked, completions))
    identities = _identities(task)
    known = (identities[place] for place in places)
    return [_item_result(*one) for one in zip(known, completions, rewards, truncated, strict=True)]


def scorer_of(task: Task) -> str:
    """The function that scores the task, with its settings."""
    return "exact match to the demonstration" if task.reward is None else scorer_key(task.reward)


def _rewards(task: Task, items: Sequence[Item], completions: Sequence[str]) -> list[float | None]:
    """One reward per item; `None`: it does not apply."""
    if task.reward is None:
        return [matches_demonstration(*pair) for pair in zip(items, completions, strict=True)]
    try:
        rewards = task.reward(items, completions)
        return [None if reward is None else float(reward) for _, reward in zip(completions, rewards, strict=True)]
    except PerdureError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the reward of task {task.name!r} failed on its held-out items: {type(error).__name__}: {error}"
        ) from error


class _Identity(NamedTuple):
    """The parts of an item's result that do not depend on the answer."""

    id: str
    details: dict[str, Any]


_IDENTITIES: dict[int, tuple[_Identity, ...]] = {}
"""Cache by the identity of a task, while the task exists: a run scores each after every stage."""


def _identities(task: Task) -> tuple[_Identity, ...]:
    """The identity of each held-out item."""
    key = id(task)
    if key not in _IDENTITIES:
        _IDENTITIES[key] = tuple(_identity(*one) for one in enumerate(task.heldout))
        finalize(task, _IDENTITIES.pop, key)
    return _IDENTITIES[key]


def _identity(index: int, item: Item) -> _Identity:
    prompt = json.dumps(item.prompt, sort_keys=True, default=str)
    short = sha256(json.dumps([prompt, item.answer, item.demonstration]).encode()).hexdigest()[:12]
    details = {"prompt_sha256": sha256(prompt.encode()).hexdigest(), "prompt": shown(item.prompt)}
    return _Identity(f"{index}:{short}", details | {"expected": expected(item)})


def _item_result(identity: _Identity, completion: str, reward: float | None, truncated: bool) -> ItemResult:
    details = identity.details | {"completion": completion} | ({"truncated": True} if truncated else {})
    result = ItemResult(identity.id, reward, details)
    if reward is not None and not math.isfinite(reward):
        note = f"the reward was {reward}; counted as 0"
        return replace(result, score=0.0, details={**result.details, "note": note})
    return result
