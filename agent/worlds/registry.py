"""The plug-ins of the worlds, and what they check and count before a policy is loaded."""

from collections.abc import Sequence
from importlib import import_module

from perdure.agent.worlds.contract import World, WorldPlugin
from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.registry import spec_of

PLUGINS: dict[str, str] = {
    "control": "perdure.agent.worlds.control.plugin",
    "language": "perdure.agent.worlds.language.plugin",
    "vision": "perdure.agent.worlds.vision.plugin",
}
"""The plug-ins of perdure's own worlds; those of others are named by their `WorldSpec`."""


def plugin_of(world: str) -> WorldPlugin:
    """The plug-in of a world."""
    named = spec_of(world).plugin
    return import_module(PLUGINS[world] if named is None else named)


def make_world(curriculum: Curriculum) -> World:
    """The world of a curriculum, with its base.

    Raises:
        PerdureError: the model cannot be loaded or made.
    """
    return plugin_of(curriculum.world).make_world(curriculum)


def refuse_settings(curriculum: Curriculum, tasks: Sequence[Task], methods: Sequence[Sequence[str]]) -> None:
    """Refuse train settings that a method of a stage cannot carry out; `methods` are those possible, a stage each.

    Raises:
        ConfigError, DataError: the fault, with its place.
    """
    plugin = plugin_of(curriculum.world)
    for number, (stage, task, possible) in enumerate(zip(curriculum.stages, tasks, methods, strict=True)):
        for method in map(curriculum.method, possible):
            settings = settings_for(method, curriculum.train, stage.train)
            try:
                plugin.check(method, settings, task, tasks[:number])
            except (ConfigError, DataError) as error:
                raise type(error)(f"stages.{stage.name}.train: {error}") from error


def stage_steps(curriculum: Curriculum, method: Method, settings: Common, items: int) -> int:
    """The optimiser steps of a stage whose task has so many training items, if nothing ends it sooner.

    Raises:
        ConfigError: settings that the method cannot carry out.
    """
    return plugin_of(curriculum.world).count_steps(method, settings, items)


def shortened(
    curriculum: Curriculum, method: Method, settings: Common, items: int, less: int, *, fixed: bool = False
) -> Common:
    """The settings of a stage that makes so many steps `less` than it would, one at least; schedules follow.

    `fixed`: it makes these steps whatever number of items it is then given. Raises as `stage_steps`.
    """
    if not less and not fixed:
        return settings
    steps = stage_steps(curriculum, method, settings, items) - less
    return settings.model_copy(update={"max_steps": max(1, steps)})
