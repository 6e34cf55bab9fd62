"""The language world as a plug-in (see `perdure.agent.worlds.contract.WorldPlugin`)."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from perdure.agent.worlds.contract import World
from perdure.budget.heap import uncollected
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.methods import Method

stack_trainer = None
"""A language model is trained by itself."""


def make_world(curriculum: Curriculum) -> World:
    """See `WorldPlugin.make_world`."""
    with uncollected():
        from perdure.agent.worlds.language.world import LanguageWorld

    return LanguageWorld(curriculum)


def check(method: Method, settings: MethodSettings, task: Task, earlier: Sequence[Task]) -> None:
    """See `WorldPlugin.check`. Refuses what TRL refuses."""
    from perdure.agent.worlds.language.trl.config import build_config
    from perdure.agent.worlds.language.trl.rows import check_replay, check_task
    from perdure.agent.worlds.language.vllm.settings import check_vllm

    config = build_config(method, settings.objective, folder=Path(), seed=0, device_type="cpu", autocast="None")
    check_task(method, task, config)
    check_vllm(config)
    if method.has("replay"):
        check_replay(method, task, earlier)


def count_steps(method: Method, settings: Common, items: int) -> int:
    """See `WorldPlugin.count_steps`."""
    from perdure.agent.worlds.language.trl.steps import count_steps

    return count_steps(method, settings, items)


def import_method(method: Method) -> None:
    """See `WorldPlugin.import_method`."""
    for part in (method.objective, *method.modifiers):
        import_module(part.code)
