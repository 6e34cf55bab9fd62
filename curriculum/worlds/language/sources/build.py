"""Makes the tasks of the language world, by their source."""

from pathlib import Path
from typing import Any

from perdure.curriculum.task import Task
from perdure.curriculum.worlds.language.sources.common import with_demonstrations
from perdure.curriculum.worlds.language.tasks import Dataset
from perdure.curriculum.worlds.registry import load


def build(
    config: Any, *, name: str, seed: int, origin: Path | None, model: Any, train: bool, examined: frozenset[str]
) -> Task:
    """See `perdure.curriculum.worlds.build.build_task`; the model is not used. A benchmark may ask a whole split."""
    if isinstance(config, Dataset) and not train and config.apart is None:
        config = config.model_copy(update={"train": 0})
    task: Task = load(config.LOADER)(config, name=name, seed=seed, origin=origin, examined=examined)
    return with_demonstrations(task, config.demonstrations) if config.demonstrations else task
