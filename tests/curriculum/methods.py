"""Methods by name, and their settings as the train section of a curriculum gives them."""

from typing import Any

from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings, Train, settings_for
from perdure.curriculum.worlds import build, learnable
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.registry import spec_of

ON_SFT = ("eaft", "sft_kl", "low_lr_sft", "replay", "ewc", "l2", "lora")
"""The recipes of imitation."""
SYNONYMS = ("grpo", "dr_grpo")
"""The recipes that are `rl` with settings which `rl` itself takes."""


def method_of(name: str, world: str = "vision") -> Method:
    """The method of a world."""
    return spec_of(world).method(name)


def settings_of(name: str, world: str = "vision", **given: Any) -> MethodSettings:
    """The settings of a method, of which its own section gives these; a map is another section of `train`."""
    maps = {key: value for key, value in given.items() if isinstance(value, dict)}
    own = {key: value for key, value in given.items() if key not in maps}
    train = Train.model_validate({name.partition("+")[0]: own, **maps})
    return settings_for(method_of(name, world), train, Train())


def learnable_by(task: Task, world: str = "language") -> tuple[str, ...]:
    """The methods that can learn a task whose data is known."""
    return learnable.learnable_by(spec_of(world), learnable.facts_of(task))


def check_task(task: Task, name: str, world: str = "language") -> None:
    """See `build.check_task`."""
    build.check_learnable(task, method_of(name, world), spec_of(world))
