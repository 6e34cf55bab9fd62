"""A task as TRL's trainers read it: rows, rewards, demonstrations as tokens."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from perdure.agent.run.events import Notice
from perdure.agent.worlds.language.chat import answer_of, encode_demonstration
from perdure.agent.worlds.language.conversations import has_more
from perdure.agent.worlds.language.generation import end_tokens
from perdure.agent.worlds.language.turns import TokenIds
from perdure.budget import ranks
from perdure.budget.errors import ConfigError, DataError, ModelError
from perdure.curriculum.task import Item, Reward, Task
from perdure.curriculum.worlds.language.rewards.trl import as_trl, reward_title
from perdure.curriculum.worlds.language.trl_fields import config_of
from perdure.curriculum.worlds.methods import Method, Need

IMITATES: frozenset[Need] = frozenset({"demonstrations"})


def check_task(method: Method, task: Task, config: Any) -> None:
    """Refuse a task that the method cannot learn from.

    Raises:
        DataError: no training items, demonstrations missing, text and messages mixed, too few items for one step.
        ConfigError: no reward; a loss on all turns of the assistant, where it would be on all turns.
    """
    if not task.train:
        raise DataError(f"task {task.name!r} has no training items")
    if len({isinstance(item.prompt, str) for item in task.train}) > 1:
        raise DataError(f"task {task.name!r} mixes prompts that are text with prompts that are messages; use one kind")
    missing = sum(item.demonstration is None for item in task.train)
    if "demonstrations" in method.needs and missing:
        raise DataError(
            f"task {task.name!r} lacks demonstrations for {missing} of its {len(task.train)} training items, "
            f"so it cannot be learned by `{method.name}`; use `rl`, or add the demonstrations"
        )
    if len(task.train) < ranks.count():
        raise DataError(
            f"task {task.name!r} has {len(task.train)} training items for {ranks.count()} processes; start at most as "
            "many as there are items, or raise the task's `train`"
        )
    if config_of(method) == "SFTConfig":
        _check_masks(method, task, config)
        return
    if "reward" in method.needs and task.reward is None:
        raise ConfigError(f"task {task.name!r} has no reward, so it cannot be learned by `{method.name}`; use `sft`")
    prompts = config.generation_batch_size // config.num_generations
    if len(task.train) < prompts:
        raise DataError(
            f"task {task.name!r} has {len(task.train)} training items, but `{method.name}` samples for {prompts} "
            f"prompts at a time{in_processes()}; lower per_device_train_batch_size (or steps_per_generation), or raise "
            "num_generations"
        )


def _check_masks(method: Method, task: Task, config: Any) -> None:
    everything = config.completion_only_loss is False and config.assistant_only_loss
    if everything and not masked_by_trl(method, task, config):
        raise ConfigError(
            f"task {task.name!r}: `completion_only_loss: false` with `assistant_only_loss` needs plain messages and no "
            f"`replay`: `{method.name}` would learn what users and tools say, too; leave completion_only_loss out, and "
            "the loss is on the answers"
        )


def masked_by_trl(method: Method, task: Task, config: Any) -> bool:
    """True where TRL masks all but the assistant's turns: it is asked to, and it can read the messages."""
    plain = not has_more([item.prompt for item in task.train])
    return bool(config.assistant_only_loss) and plain and not method.has("replay")


def in_processes() -> str:
    """The number of processes, for a message; nothing of one."""
    return f", in {ranks.count()} processes" if ranks.count() > 1 else ""


def demonstration_rows(items: Sequence[Item]) -> list[dict[str, Any]]:
    """TRL's prompt-completion rows: text or messages, as the prompt is."""
    return [{"prompt": item.prompt, "completion": answer_of(item)} for item in items]


def prompt_rows(items: Sequence[Item]) -> Any:
    """TRL's prompt-only rows, a `datasets.Dataset`, with each item's number so that a reward finds the item again."""
    from datasets import Dataset, Features, Json, List, Value

    prompts = [getattr(item.prompt, "messages", item.prompt) for item in items]
    rows = [{"prompt": prompt, "item": number} for number, prompt in enumerate(prompts)]
    if has_more(prompts):  # as JSON, else each message would get every other one's keys
        return Dataset.from_list(rows, features=Features({"prompt": List(Json()), "item": Value("int64")}))
    return Dataset.from_list(rows)


@dataclass(frozen=True)
class IdleGroups:
    """The groups of answers to one prompt from which nothing is learned, by their rewards, and what is said of them."""

    notice: Notice
    holds: Callable[[Sequence[float]], bool]


EQUAL_REWARDS = IdleGroups("equal_rewards", lambda rewards: len(set(rewards)) == 1)
"""Groups of equal rewards, whose advantages are 0."""

NO_SUCCESS = IdleGroups("no_success", lambda rewards: max(rewards) <= 0)
"""Groups without a reward above 0, where the rewards are weights."""


class RewardMeter:
    """A task's reward as TRL's reward function, with the mean since it was last asked for.

    TRL hides NaN (its means skip it) and would turn an infinite reward into an enormous gradient. Both are reported
    here as they are, and passed to TRL as `None`, so that they have no part in the gradient.

    `counts` are of all answers and groups of answers to one prompt: answers without a reward (`no_reward`) or without
    one above 0 (`unrewarded`), answers that end in none of the tokens `ends` (`truncated`), groups of two answers or
    more that are `idle`. Where the task has no reward (`is_rewarded` is false), the first two are not counted.
    """

    def __init__(
        self,
        reward: Reward,
        items: Sequence[Item],
        ends: Collection[int] = (),
        idle: IdleGroups | None = EQUAL_REWARDS,
        is_rewarded: bool = True,
    ) -> None:
        self.__name__ = reward_title(reward)  # what TRL logs it under
        self._reward = as_trl(reward, items)
        self._given: list[float] = []
        self._last: float | None = None
        self._ends, self._idle, self._is_rewarded = ends, idle, is_rewarded
        self.counts: dict[str, int] = {}

    def __call__(self, **arguments: Any) -> list[float | None]:
        """One reward a completion, for `GRPOTrainer(reward_funcs=…)`."""
        values = self._reward(**arguments)
        self._given += [float(value) for value in values if value is not None]
        usable = [float(value) if value is not None and math.isfinite(value) else None for value in values]
        self._count(usable, arguments.get("item") or range(len(usable)), arguments.get("completion_ids") or ())
        return usable

    def _count(self, rewards: Sequence[float | None], items: Sequence[int], answers: Sequence[Sequence[int]]) -> None:
        rows = groupby(zip(items, rewards, strict=True), key=itemgetter(0))
        groups = [[reward for _, reward in group if reward is not None] for _, group in rows]
        groups = [group for group in groups if len(group) > 1]
        found = {
            "answers": len(rewards),
            "truncated": sum(not self._ends or answer[-1] not in self._ends for answer in answers if len(answer)),
            "groups": len(groups),
        }
        if self._is_rewarded:
            found["no_reward"] = rewards.count(None)
            found["unrewarded"] = sum(not (reward or 0.0) > 0 for reward in rewards)
        if self._idle is not None:
            found[self._idle.notice] = sum(map(self._idle.holds, groups))
        for name, count in found.items():
            self.counts[name] = self.counts.get(name, 0) + count

    def mean(self) -> float | None:
        """The mean since the last call, over the answers of all processes; the last mean if nothing was sampled since.

        Every process calls it after the same steps.
        """
        parts = ranks.gathered((sum(self._given), len(self._given)))
        self._given = []
        number = sum(count for _, count in parts)
        if number:
            self._last = sum(total for total, _ in parts) / number
        return self._last


def length_counts(demonstrations: Sequence[tuple[TokenIds, int]], most: int | None) -> dict[str, int]:
    """The demonstrations of which the prompt alone has `most` tokens (`too_long`), and whose end is cut (`cut_off`)."""
    lengths = [] if most is None else [(len(ids), start) for ids, start in demonstrations]
    too_long = sum(start >= (most or 0) for _, start in lengths)
    return {
        "rows": len(lengths),
        "too_long": too_long,
        "cut_off": sum(length > (most or 0) for length, _ in lengths) - too_long,
    }


def check_end(model: Any, tokenizer: Any, item: Item) -> None:
    """Refuse a chat template that does not end the answer: a policy trained on it would never learn to stop.

    Raises:
        ModelError: no end-of-turn token in the rendered demonstration.
    """
    tokens, start = encode_demonstration(tokenizer, item)
    if not end_tokens(model, tokenizer).intersection(tokens[start:]):
        raise ModelError(
            "the chat template does not put an end-of-sequence token after the assistant's answer, so the policy would "
            f"never learn to stop; let the template write {tokenizer.eos_token!r} there, or name its end-of-turn "
            "token as the tokenizer's eos_token"
        )


def token_rows(demonstrations: Sequence[tuple[TokenIds, int]], *, whole: bool = False) -> list[dict[str, Any]]:
    """Rows of encoded demonstrations; the loss is on the answers, or on the `whole`.

    TRL would make the same of `demonstration_rows` in four passes over a `datasets.Dataset`, but not where text and
    messages are mixed, or where tokens merge (see `encode_demonstration`).
    """
    return [
        {"input_ids": ids, "labels": ids if whole else [-100] * start + ids[start:]} for ids, start in demonstrations
    ]


def recalled(earlier: Sequence[Task], needs: frozenset[Need], *, count: int, seed: int) -> list[Item]:
    """At most `count` items of earlier tasks, in equal parts, drawn at the seed; none twice.

    Tasks that lack one of the `needs` are skipped.
    """
    tasks = [task for task in earlier if can_replay(task, needs)]
    generator = np.random.default_rng(seed)
    chosen: list[Item] = []
    for place, number in enumerate(generator.permutation(len(tasks))):
        items = tasks[number].train
        part = min(count // len(tasks) + (place < count % len(tasks)), len(items))
        chosen += [items[index] for index in sorted(generator.choice(len(items), size=part, replace=False).tolist())]
    return chosen


def can_replay(task: Task, needs: frozenset[Need]) -> bool:
    """True where an earlier task has items of single answers, and demonstrations and a reward as far as needed."""
    demonstrated = "demonstrations" not in needs or all(item.demonstration is not None for item in task.train)
    return (
        bool(task.train) and not task.is_played and demonstrated and ("reward" not in needs or task.reward is not None)
    )


def check_replay(method: Method, task: Task, earlier: Sequence[Task]) -> None:
    """Refuse to replay prompts of another form where the method samples, since TRL then reads only one form.

    Raises:
        DataError: an earlier task asks by text and this one by messages, or the other way round.
    """
    if config_of(method) == "SFTConfig":
        return
    form = isinstance(task.train[0].prompt, str)
    for other in earlier:
        if can_replay(other, method.objective.needs) and isinstance(other.train[0].prompt, str) != form:
            forms = ("text", "messages") if form else ("messages", "text")
            raise DataError(
                f"task {task.name!r} asks by {forms[0]} and task {other.name!r} by {forms[1]}, and `{method.name}` "
                "replays prompts of one form; set `chat` alike, or use `replay` with `sft`"
            )
