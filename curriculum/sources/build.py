"""`build_task`: from what a curriculum says of a task to its items, and which methods can learn it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.sources import dataset, python, reasoning_gym
from perdure.curriculum.sources.common import with_demonstrations
from perdure.curriculum.sources.config import TaskConfig
from perdure.curriculum.task import Task
from perdure.curriculum.train import Method

SOURCES: dict[str, Callable[..., Task]] = {
    "reasoning_gym": reasoning_gym.load,
    "dataset": dataset.load,
    "python": python.load,
}


def build_task(config: TaskConfig, *, name: str, seed: int, origin: Path | None = None) -> Task:
    """The task of a stage, the same for the same configuration, seed and data.

    `origin` is the folder that relative paths start from (the curriculum's); the current directory comes second.

    Raises:
        ConfigError: a dataset, setting, function or module that is not there, or that fails.
        DataError: data that is missing, empty, too little, unreachable, or of another shape than the file says.
    """
    load: Callable[..., Any] = SOURCES[config.type]
    task: Task = load(config, name=name, seed=seed, origin=origin)
    return with_demonstrations(task, config.demonstrations) if config.demonstrations else task


def learnable_by(task: Task) -> tuple[Method, ...]:
    """The methods that can learn a task: `sft` needs demonstrations, `rl` a reward, `chord` both."""
    methods: list[Method] = []
    if task.has_demonstrations:
        methods.append("sft")
    if task.reward is not None:
        methods.append("rl")
    if task.has_demonstrations and task.reward is not None:
        methods.append("chord")
    return tuple(methods)


def check_task(task: Task, method: Method) -> None:
    """Refuse a method that cannot learn a task, now that its data is known.

    Raises:
        ConfigError: demonstrations or a reward are missing; says which methods are left.
    """
    able = learnable_by(task)
    if method in able:
        return
    lacks = [] if task.has_demonstrations else ["demonstrations (from the data, or `demonstrations: module:function`)"]
    lacks += [] if task.reward is not None else ["a reward"]
    needed = {"sft": "demonstrations", "rl": "a reward", "chord": "demonstrations and a reward"}[method]
    left = " or ".join(repr(other) for other in able)
    remedy = f"it can be learned by {left}" if able else "it cannot be learned at all"
    raise ConfigError(
        f"task {task.name!r}: method {method!r} needs {needed}, and the task has no {' and no '.join(lacks)}; {remedy}"
    )
