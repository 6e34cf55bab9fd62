"""The parts of a plug-in that are the same in all worlds that train by loops of their own (see `WorldPlugin`)."""

from collections.abc import Sequence
from importlib import import_module

from perdure.curriculum.settings import Common
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.methods import Method


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
