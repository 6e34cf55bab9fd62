"""The control world as a plug-in (see `perdure.agent.worlds.contract.WorldPlugin`)."""

from perdure.agent.worlds.contract import World
from perdure.agent.worlds.own_loops import check, count_steps, import_method
from perdure.curriculum.schema import Curriculum

__all__ = ["check", "count_steps", "import_method", "make_world", "stack_trainer"]

stack_trainer = None
"""Each point of a sweep is a run of its own."""


def make_world(curriculum: Curriculum) -> World:
    """See `WorldPlugin.make_world`."""
    from perdure.agent.worlds.control.world import ControlWorld

    return ControlWorld(curriculum)
