"""Builds a task from its section of a curriculum."""

from dataclasses import replace
from pathlib import Path

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import Task, is_among
from perdure.curriculum.worlds.contract import ModelSection, Source, WorldSpec
from perdure.curriculum.worlds.learnable import facts_of, task_refusal
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.registry import load, owner_of, spec_of, type_of


def build_task(
    config: Source,
    *,
    name: str,
    seed: int,
    origin: Path | None = None,
    model: ModelSection | None = None,
    train: bool = True,
    examined: frozenset[str] = frozenset(),
) -> Task:
    """The task of a stage, the same for the same configuration, seed and data.

    Args:
        origin: the folder that relative paths start from (the curriculum's); the current directory comes second.
        model: the curriculum's; a world may read its data where this says, without what it is pretrained on.
        train: `False` leaves out the training items.
        examined: keys (`perdure.curriculum.task.keys`) of items that are not trained on. The held-out items do not
            depend on them; other training items take the place of those that are left out.

    Raises:
        ConfigError: a dataset, setting, function or module that is not there, or that fails; a model that cannot do
            the task.
        DataError: data that is missing, empty, too little, unreachable, or of another shape than the file says; items
            to train on that are examined, where no others can take their place.
    """
    spec = owner_of(config) if model is None else spec_of(model.world)
    if not isinstance(config, spec.tasks):
        model_type = type_of(owner_of(config).model)
        raise ConfigError(f"task {name!r}: `type: {type_of(type(config))}` goes with `model.type: {model_type}`")
    build = load(spec.build)
    task: Task = build(config, name=name, seed=seed, origin=origin, model=model, train=train, examined=examined)
    shared = sum(is_among(item, examined) for item in task.train)
    if train and shared:
        raise DataError(
            f"task {name!r}: {shared} of its {len(task.train)} training items are examined; give other data"
        )
    return task if train else replace(task, train=())


def check_learnable(task: Task, method: Method, spec: WorldSpec) -> None:
    """Refuse a method that cannot learn a task, now that its data is known.

    Raises:
        ConfigError: demonstrations or a reward are missing; says which methods can learn it.
    """
    refused = task_refusal(spec, method, facts_of(task))
    if refused is not None:
        raise ConfigError(f"task {task.name!r}: {refused}")
