"""The control world as a plug-in (see `perdure.agent.worlds.contract.WorldPlugin`)."""

from collections.abc import Sequence
from importlib import import_module

from perdure.agent.worlds.contract import World
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.methods import Method

stack_trainer = None
"""Each point of a sweep is a run of its own."""


def make_world(curriculum: Curriculum) -> World:
    """See `WorldPlugin.make_world`."""
    from perdure.agent.worlds.control.world import ControlWorld

    return ControlWorld(curriculum)


def check(method: Method, settings: MethodSettings, task: Task, earlier: Sequence[Task]) -> None:
    """See `WorldPlugin.check`."""
    count_steps(method, settings.objective, len(task.train))


def count_steps(method: Method, settings: Common, items: int) -> int:
    """See `WorldPlugin.count_steps`."""
    from perdure.agent.worlds.schedule import plan_for

    return plan_for(method, settings, items).steps


def import_method(method: Method) -> None:
    """See `WorldPlugin.import_method`."""
    for part in (method.objective, *method.modifiers):
        import_module(part.code)
