"""Tasks that a user's own function makes: `function(*, seed, train, heldout, **args) -> Task`."""

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import load_function, show_error
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.task import Item, Task, prompt_key
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.sources.common import check_answers
from perdure.curriculum.worlds.language.tasks import PythonTask

TASK_GROUP = "perdure.tasks"


def load(config: PythonTask, *, name: str, seed: int, origin: Path | None = None) -> Task:
    """The task that the function returns, under the stage's name; `reward` in the file replaces its reward.

    A `module:function` is imported from the installed packages or the current directory; a plain name is looked up
    in the entry-point group `perdure.tasks`.

    Raises:
        ConfigError: the function is not there, fails, or returns no fit `Task`.
    """
    where = f"task {name!r}: {config.path!r}"
    function = load_function(config.path, "the task") if ":" in config.path else _entry_point(config.path)
    try:
        made = function(seed=seed, train=config.train, heldout=config.heldout, **config.args)
    except Exception as error:
        raise ConfigError(f"{where} failed: {show_error(error)}") from error
    _check(made, where)
    task: Task = replace(made, name=name)
    if config.reward is not None and config.reward.type != "source":
        task = replace(task, reward=build_reward(config.reward))
        check_answers(task, config.reward.type, where)
    if config.reward is not None and task.reward is None:
        raise ConfigError(f"{where} returned a task without a reward, and the curriculum asks for `reward: source`")
    return task


def _entry_point(name: str) -> Callable[..., Any]:
    found = {point.name: point for point in entry_points(group=TASK_GROUP)}
    if name not in found:
        known = f"installed: {', '.join(sorted(found))}" if found else "no package installs any"
        raise ConfigError(
            f"no task {name!r} in the entry-point group {TASK_GROUP!r}{did_you_mean(name, found)} ({known}); "
            "a function of your own is named `module:function`"
        )
    try:
        return found[name].load()  # type: ignore[no-any-return]
    except Exception as error:
        raise ConfigError(
            f"the entry point {name!r} of {TASK_GROUP!r} cannot be loaded: {show_error(error)}"
        ) from error


def _check(task: Any, where: str) -> None:
    if not isinstance(task, Task):
        raise ConfigError(f"{where} returned {type(task).__name__}; it must return a perdure.curriculum.task.Task")
    if not all(isinstance(item, Item) for item in (*task.train, *task.heldout)):
        raise ConfigError(f"{where} returned a Task whose items are not all perdure.curriculum.task.Item")
    if len(task.train) < 1 or len(task.heldout) < 2:
        raise ConfigError(
            f"{where} returned {len(task.train)} training and {len(task.heldout)} held-out items; "
            "at least 1 and 2 are needed"
        )
    shared = {prompt_key(item) for item in task.train} & {prompt_key(item) for item in task.heldout}
    if shared:
        raise ConfigError(f"{where}: {len(shared)} held-out prompts are also trained on, such as {min(shared)[:80]}")
