"""A small base for the point world, its tasks, and updates of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from torch import Tensor

from perdure.agent.worlds.contract import Outcome, Progress, UpdateJob
from perdure.agent.worlds.control.pretrain import weights_of
from perdure.agent.worlds.control.world import ControlWorld
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.registry import spec_of
from tests.curriculum.methods import settings_of

POINT = "tests.point_world:Point-v0"
Weights = dict[str, Tensor]


def point(goal: str = "left", **more: Any) -> dict[str, Any]:
    """The section of a task with an expert."""
    expert = {"type": "expert", "expert": "tests.point_world:expert"}
    return {
        "type": "gymnasium",
        "id": POINT,
        "kwargs": {"goal": goal},
        "instruction": goal,
        "horizon": 10,
        "train": 8,
        "heldout": 4,
        "demonstrations": expert,
        **more,
    }


def model(**more: Any) -> dict[str, Any]:
    """The section of a small network that knows how to go to the left, and a little of how to go to the right."""
    known = [{"task": point("left"), "episodes": 8}, {"task": point("right"), "episodes": 2}]
    return {
        "type": "control",
        "policy": {"type": "mlp", "hidden_sizes": [16]},
        "bins": 5,
        "pretrain": {"max_steps": 150, "per_device_train_batch_size": 32, "tasks": known},
        **more,
    }


def curriculum(**changes: Any) -> Curriculum:
    """One stage, to the right."""
    return Curriculum.model_validate(
        {
            "model": model(),
            "budget": {"kl": 1.0, "every": 2, "num_prompts": 4},
            "strategy": {"type": "fixed", "method": "rl"},
            "train": {"max_steps": 4, "learning_rate": 1e-2, "per_device_train_batch_size": 4},
            "stages": [{"name": "right", "task": point("right")}],
            **changes,
        }
    )


def fresh_world() -> ControlWorld:
    """The world, its policy the base; the base is made once a process."""
    return ControlWorld(curriculum())


@cache
def task(goal: str = "right", **more: Any) -> Task:
    """A task as a file gives it."""
    stages = [{"name": goal, "task": point(goal, **more)}]
    config = curriculum(stages=stages)
    return build_task(config.stages[0].task, name=goal, seed=0, model=config.model)


def with_success(one: Task, success: str) -> Task:
    """The task with another reward."""
    items = [
        replace(item, prompt=replace(item.prompt, environment=replace(item.prompt.environment, success=success)))
        for item in one.train
    ]
    return replace(one, train=tuple(items))


def job_of(
    name: str,
    world: ControlWorld,
    folder: Path,
    what: Task | None = None,
    *,
    watch: Callable[[Progress], bool] = lambda _: False,
    earlier: Sequence[Task] = (),
    train: dict[str, Any] | None = None,
    **more: Any,
) -> UpdateJob:
    """A job on the task to the right; `train` are settings, `more` fields of `UpdateJob`."""
    given = {"max_steps": 4, "learning_rate": 1e-2, "per_device_train_batch_size": 4, **(train or {})}
    method = spec_of("control").method(name)
    settings = settings_of(name, "control", **given)
    return UpdateJob(method, world.policy, what or task(), settings, 5, folder, watch, tuple(earlier), **more)


def after(name: str, folder: Path, what: Task | None = None, **more: Any) -> Weights:
    """The weights of the base after an update; `more` as for `job_of`."""
    return updated(name, folder, what, **more)[0]


def updated(name: str, folder: Path, what: Task | None = None, **more: Any) -> tuple[Weights, Outcome]:
    """The weights of the base after an update without a checkpoint before it, and its outcome."""
    world = fresh_world()
    outcome = world.update(job_of(name, world, Path(mkdtemp(dir=folder)), what, **more))
    return weights_of(world.policy.actor.network), outcome


def same(first: Weights, second: Weights) -> bool:
    """True if all weights are equal to the bit."""
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())
