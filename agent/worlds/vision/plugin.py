"""The vision world as a plug-in (see `perdure.agent.worlds.contract.WorldPlugin`)."""

from perdure.agent.worlds.contract import World
from perdure.agent.worlds.own_loops import check, count_steps, import_method
from perdure.agent.worlds.vision import trainer
from perdure.curriculum.schema import Curriculum

__all__ = ["check", "count_steps", "import_method", "make_world", "stack_trainer"]

stack_trainer = trainer.TRAINER
"""Networks are trained together in stacks."""


def make_world(curriculum: Curriculum) -> World:
    """See `WorldPlugin.make_world`."""
    from perdure.agent.worlds.vision.world import VisionWorld

    return VisionWorld(curriculum.model, curriculum.seed)
