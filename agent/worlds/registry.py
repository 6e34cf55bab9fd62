"""Which world a curriculum is about: the one place where the loop's world is chosen."""

from collections.abc import Sequence

from perdure.agent.worlds.contract import World
from perdure.agent.worlds.language.methods import check_settings
from perdure.budget.errors import ConfigError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common, TrlCommon
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.contract import Method
from perdure.curriculum.worlds.registry import MlpModel


def make_world(curriculum: Curriculum) -> World:
    """The world of a curriculum, with its base.

    Raises:
        PerdureError: the model cannot be loaded or made.
    """
    if isinstance(curriculum.model, MlpModel):
        from perdure.agent.worlds.vision.world import VisionWorld

        return VisionWorld(curriculum.model, curriculum.seed)
    from perdure.agent.worlds.language.world import LanguageWorld

    return LanguageWorld(curriculum)


def refuse_settings(curriculum: Curriculum, tasks: Sequence[Task], methods: Sequence[Sequence[Method]]) -> None:
    """Refuse train settings that a method of a stage cannot carry out; `methods` are those possible, a stage each.

    Raises:
        ConfigError, DataError: the fault, with its place.
    """
    check = _check_vision if isinstance(curriculum.model, MlpModel) else check_settings
    for stage, task, possible in zip(curriculum.stages, tasks, methods, strict=True):
        for method in possible:
            settings = settings_for(method, curriculum.train, stage.train)
            check(method, settings, f"stages.{stage.name}.train", task)


def stage_steps(curriculum: Curriculum, method: Method, settings: Common, items: int) -> int:
    """The optimiser steps of a stage whose task has so many training items, if nothing ends it sooner.

    Raises:
        ConfigError: settings that the method cannot carry out.
    """
    if isinstance(curriculum.model, MlpModel):
        from perdure.agent.worlds.vision.schedule import plan_for

        return plan_for(method, settings, items).steps
    from perdure.agent.worlds.language.trl.steps import count_steps

    assert isinstance(settings, TrlCommon), "a method of the language world"
    return count_steps(method, settings, items)


def shortened(curriculum: Curriculum, method: Method, settings: Common, items: int, less: int) -> Common:
    """The settings of a stage that makes so many steps `less` than it would, one at least; schedules follow.

    Raises as `stage_steps`.
    """
    if not less:
        return settings
    steps = stage_steps(curriculum, method, settings, items) - less
    return settings.model_copy(update={"max_steps": max(1, steps)})


def _check_vision(method: Method, settings: Common, place: str, task: Task) -> None:
    from perdure.agent.worlds.vision.schedule import plan_for

    try:
        plan_for(method, settings, len(task.train))
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
