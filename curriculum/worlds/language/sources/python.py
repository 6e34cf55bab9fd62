"""Tasks that a user's own function makes: `function(*, seed, train, heldout, **args) -> Task`."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.import_path import load_function, show_error
from perdure.curriculum.own_code import TASK
from perdure.curriculum.task import Item, Reward, Task, derived_seed, prompt_key, questions, scorer_name
from perdure.curriculum.worlds.language.rewards import guarded, worker
from perdure.curriculum.worlds.language.rewards.guarded import RewardRecipe
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.rewards.trl import reward_title
from perdure.curriculum.worlds.language.rewards.worker import path_of
from perdure.curriculum.worlds.language.sources.chat import kind, read_prompt
from perdure.curriculum.worlds.language.sources.common import check_answers, distinct, trainable
from perdure.curriculum.worlds.language.tasks import PythonTask

REDRAWS = 20
"""The most further calls of a function, in place of training items that are examined."""


def load(
    config: PythonTask,
    *,
    name: str,
    seed: int,
    origin: Path | None = None,
    examined: frozenset[str] = frozenset(),
) -> Task:
    """The task that the function returns, under the stage's name; `reward` in the file replaces its reward.

    A `module:function` is imported from the installed packages or the current directory; a plain name is looked up
    in the entry-point group `perdure.tasks`. Where it gives training items that are `examined`, it is called again
    with other seeds for others in their place.

    Raises:
        ConfigError: the function is not there, fails, or returns no fit `Task`.
        DataError: it gives too few others.
    """
    where = f"task {name!r}: {config.path!r}"
    function = load_function(config.path, TASK)
    arguments = {"seed": seed, "train": config.train, "heldout": config.heldout, **config.args}
    draw = partial(_draw, function, config, where)
    task = replace(draw(seed), name=name)
    if examined & questions(task.train):
        left_out = Counter(task.left_out)
        items = chain(task.train, _redrawn(draw, task, seed))
        train = trainable(items, len(task.train), task.heldout, examined, left_out, where)
        task = replace(task, train=train, left_out=left_out)
    if config.reward is not None and config.reward.type != "source":
        task = replace(task, reward=build_reward(config.reward))
        check_answers(task, config.reward.type, where)
    elif task.reward is not None:
        timeout = None if config.reward is None else config.reward.timeout
        task = replace(task, reward=_guarded(task.reward, timeout, function, arguments))
    if config.reward is not None and task.reward is None:
        raise ConfigError(f"{where} returned a task without a reward, and the curriculum asks for `reward: source`")
    return task


def _guarded(reward: Reward, timeout: float | None, function: Any, arguments: dict[str, Any]) -> Reward:
    """The task's own reward in another process: found by its name, else made there with the task once more.

    One that is made with the task may score by the task's `args`, which are then settings of it.
    """
    names, said = (reward_title(reward), scorer_name(reward)), str(getattr(reward, "scorer_settings", ""))
    args = {name: value for name, value in arguments.items() if name not in ("seed", "train", "heldout")}
    own, maker = path_of(reward), path_of(function)
    if timeout == 0 or own is None is maker:
        return reward
    if own is None:
        said = said or (json.dumps(args, sort_keys=True, default=str) if args else "")
        again = RewardRecipe(f"{worker.__name__}:of_task", {"path": maker, "arguments": arguments}, *names, said)
        return guarded.function(again, timeout)
    make = guarded.verifier if own.startswith("perdure.") else guarded.function
    return make(RewardRecipe(f"{worker.__name__}:find", {"path": own}, *names, said), timeout)


def _read(items: Sequence[Item], where: str) -> tuple[Item, ...]:
    """The items, their messages as chat templates take them."""
    read = []
    for number, item in enumerate(items):
        for part in ("answer", "demonstration"):
            if not isinstance(getattr(item, part), (str, type(None))):
                raise DataError(
                    f"{where}, item {number}: `{part}` holds {kind(getattr(item, part))}; give text, or None"
                )
        read.append(replace(item, prompt=read_prompt(item.prompt, f"{where}, item {number}: the prompt")))
    return tuple(read)


def _draw(function: Callable[..., Any], config: PythonTask, where: str, seed: int) -> Task:
    try:
        made = function(seed=seed, train=config.train, heldout=config.heldout, **config.args)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where} failed: {show_error(error)}") from error
    task = _checked(made, where)
    return replace(task, train=_read(task.train, f"{where}, train"), heldout=_read(task.heldout, f"{where}, heldout"))


def _redrawn(draw: Callable[[int], Task], task: Task, seed: int) -> Iterator[Item]:
    """Training items by other seeds that the task does not have, until a draw gives nothing new."""
    seen = {prompt_key(item) for item in task.train}
    for number in range(1, REDRAWS + 1):
        fresh = list(distinct(draw(derived_seed(seed, f"draw/{number}")).train, seen, Counter()))
        yield from fresh
        if not fresh:
            return


def _checked(task: Any, where: str) -> Task:
    if not isinstance(task, Task):
        raise ConfigError(f"{where} returned {type(task).__name__}; it must return a perdure.curriculum.task.Task")
    if not all(isinstance(item, Item) for item in (*task.train, *task.heldout)):
        raise ConfigError(f"{where} returned a Task whose items are not all perdure.curriculum.task.Item")
    if len(task.train) < 1 or len(task.heldout) < 2:
        raise ConfigError(
            f"{where} returned {len(task.train)} training and {len(task.heldout)} held-out items; "
            "at least 1 and 2 are needed"
        )
    shared = questions(task.train) & questions(task.heldout)
    if shared:
        raise ConfigError(f"{where}: {len(shared)} held-out prompts are also trained on, such as {min(shared)[:80]}")
    return task
