"""`build_task`: from what a curriculum says of a task to its items, and which methods can learn it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.file.faults import one_of
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import IMITATES, METHODS, REWARDED, Method
from perdure.curriculum.worlds.language.sources import dataset, python, reasoning_gym
from perdure.curriculum.worlds.language.sources.common import with_demonstrations
from perdure.curriculum.worlds.language.tasks import Images, TaskConfig
from perdure.curriculum.worlds.registry import CausalModel, MlpModel, World

SOURCES: dict[str, Callable[..., Task]] = {
    "reasoning_gym": reasoning_gym.load,
    "dataset": dataset.load,
    "python": python.load,
}
"""The sources of the language world."""

WHERE_FROM: dict[World, str] = {
    "language": "from the data, or `demonstrations: module:function`",
    "vision": "name a `writer`",
}
"""How a task comes by demonstrations."""


def build_task(
    config: TaskConfig,
    *,
    name: str,
    seed: int,
    origin: Path | None = None,
    model: CausalModel | MlpModel | None = None,
    train: bool = True,
) -> Task:
    """The task of a stage, the same for the same configuration, seed and data.

    `origin` is the folder that relative paths start from (the curriculum's); the current directory comes second.
    `model` is the curriculum's: image tasks take their data from where it says, and nothing that it is pretrained on.
    Without `train` only the held-out items are there.

    Raises:
        ConfigError: a dataset, setting, function or module that is not there, or that fails; images without a model
            that sees.
        DataError: data that is missing, empty, too little, unreachable, or of another shape than the file says.
    """
    if isinstance(config, Images):
        from perdure.curriculum.worlds.vision import source as images

        if not isinstance(model, MlpModel):
            raise ConfigError(f"task {name!r}: `type: images` goes with `model.type: mlp`")
        return images.load(config, name=name, seed=seed, model=model, train=train)
    load: Callable[..., Any] = SOURCES[config.type]
    task: Task = load(config, name=name, seed=seed, origin=origin)
    task = task if train else replace(task, train=())
    return with_demonstrations(task, config.demonstrations) if config.demonstrations else task


def learnable_by(task: Task, world: World = "language") -> tuple[Method, ...]:
    """The methods of a world that can learn a task: some need demonstrations, some a reward, some both."""
    return tuple(
        method
        for method in METHODS[world]
        if (task.has_demonstrations or method not in IMITATES) and (task.reward is not None or method not in REWARDED)
    )


def check_task(task: Task, method: Method, world: World = "language") -> None:
    """Refuse a method that cannot learn a task, now that its data is known.

    Raises:
        ConfigError: demonstrations or a reward are missing; says which methods are left.
    """
    able = learnable_by(task, world)
    if method in able:
        return
    lacks = [] if task.has_demonstrations else [f"demonstrations ({WHERE_FROM[world]})"]
    lacks += [] if task.reward is not None else ["a reward"]
    needed = " and ".join(
        what for what, users in (("demonstrations", IMITATES), ("a reward", REWARDED)) if method in users
    )
    remedy = f"it can be learned by {one_of(able)}" if able else "it cannot be learned at all"
    raise ConfigError(
        f"task {task.name!r}: method {method!r} needs {needed}, and the task has no {' and no '.join(lacks)}; {remedy}"
    )
