"""Makes the tasks of the language world, by their source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from perdure.curriculum.task import Task
from perdure.curriculum.worlds.language.sources import dataset, python, reasoning_gym
from perdure.curriculum.worlds.language.sources.common import with_demonstrations

LOADERS: dict[str, Callable[..., Task]] = {
    "reasoning_gym": reasoning_gym.load,
    "dataset": dataset.load,
    "python": python.load,
}


def build(config: Any, *, name: str, seed: int, origin: Path | None, model: Any, train: bool) -> Task:
    """See `perdure.curriculum.worlds.build.build_task`; the model is not used."""
    task = LOADERS[config.type](config, name=name, seed=seed, origin=origin)
    return with_demonstrations(task, config.demonstrations) if config.demonstrations else task
