"""Tasks that are played in turns: a class whose methods are tools, and rows that begin its episodes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from perdure.budget.errors import ConfigError, DataError
from perdure.budget.json_lines import plain
from perdure.curriculum.task import Item, Messages, Task, question
from perdure.curriculum.worlds.cells import digest
from perdure.curriculum.worlds.hub import fetch
from perdure.curriculum.worlds.language.environment_task import EnvironmentTask
from perdure.curriculum.worlds.language.environments import (
    EnvironmentPrompt,
    EpisodeReward,
    environment_class,
    has_own_reward,
)
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.sources.chat import read_prompt
from perdure.curriculum.worlds.language.sources.common import Exam, check_answers, shared_out


def load(
    config: EnvironmentTask,
    *,
    name: str,
    seed: int,
    origin: Path | None = None,
    examined: frozenset[str] = frozenset(),
) -> Task:
    """Rows in shuffled order, and held-out rows from a file of their own or cut from the same.

    Raises:
        ConfigError: no such class, or no reward, or two.
        DataError: a file that is missing, rows without a prompt, too few rows.
    """
    factory = environment_class(config.path)
    reward = _reward(config, factory, f"task {name!r}: {config.path!r}")
    where, left_out = f"task {name!r}: {config.data!r}", Counter[str]()
    items = list(_items(config, factory, config.data, where, origin, seed))
    held = list[Item]()
    if not isinstance(config.heldout, int):
        other = f"task {name!r}, `heldout`: {config.heldout.path!r}"
        held = list(_items(config, factory, config.heldout.path, other, origin, seed))
    if reward.of_words is not None and _ask_all([*items, *held]):
        items, held = _by_messages(items), _by_messages(held)
    exam = config.heldout if isinstance(config.heldout, int) else Exam(held, config.heldout.limit, other)
    train, heldout = shared_out(items, exam, train=config.train, where=where, left_out=left_out, examined=examined)
    if reward.of_words is not None and config.reward is not None:
        check_answers(Task(name, train, heldout, reward.of_words), config.reward.type, where)
    return Task(name, train, heldout, reward, left_out)


def _reward(config: EnvironmentTask, factory: type[Any], where: str) -> EpisodeReward:
    own = has_own_reward(factory)
    if own and config.reward is not None:
        raise ConfigError(f"{where} scores its episodes by `get_reward`; leave the task's `reward` out")
    if not own and config.reward is None:
        raise ConfigError(f"{where} has no `get_reward`; write one, or give the task a `reward` for the last words")
    return EpisodeReward(None if config.reward is None else build_reward(config.reward))


def _items(
    config: EnvironmentTask, factory: type[Any], path: str, where: str, origin: Path | None, seed: int
) -> Iterator[Item]:
    rows = fetch(path, where, origin).rows("train")
    order = list(range(len(rows)))
    Random(f"environment/{seed}").shuffle(order)
    for number in order:
        cells = {str(key): plain(value) for key, value in rows[number].items()}
        messages = _messages(config, cells, f"{where}, {rows.place(number)}")
        prompt = EnvironmentPrompt(
            config.path, messages, {"prompt": messages} | cells, config.max_tool_calling_iterations, factory
        )
        answer = cells.get("answer")
        given = {key: value for key, value in cells.items() if key != "prompt"}
        yield Item(prompt, None if answer is None else str(answer), columns=given, row=digest(cells))


def _ask_all(items: Sequence[Item]) -> bool:
    """True if the messages alone decide what is right: where they are the same, so is the answer."""
    answers: dict[str, str | None] = {}
    return all(answers.setdefault(question(item.prompt.messages), item.answer) == item.answer for item in items)


def _by_messages(items: Sequence[Item]) -> list[Item]:
    """Items of which two with the same messages are the same, here and in any other task."""
    return [replace(item, prompt=replace(item.prompt, asks_all=True)) for item in items]


def _messages(config: EnvironmentTask, cells: dict[str, Any], place: str) -> Messages:
    said = cells.get("prompt") if config.prompt is None else config.prompt
    if said is None:
        raise DataError(f"{place} has no `prompt`; name one for all rows by the task's `prompt`, or add the column")
    prompt = read_prompt(said, f"{place}: the prompt")
    messages: Messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    odd = next((key for turn in messages for key in turn if key not in ("role", "content")), None)
    if odd is not None or not all(isinstance(turn["content"], str) for turn in messages):
        raise DataError(f"{place}: a message of the prompt has more than a role and text ({odd or 'content'})")
    return messages
