"""What a world warns of is said once it is loaded, by whatever prepares a run."""

from perdure.agent.prepare import prepare
from perdure.agent.worlds.contract import World
from perdure.agent.worlds.registry import make_world
from perdure.curriculum.schema import Curriculum
from tests.agent.scalar_run import Onlooker
from tests.control_runs import curriculum, point


def warned(made: Curriculum) -> World:
    world = make_world(made)
    assert world.warnings == ()
    world.warnings = ("the machine is slow", "the disk is small")  # type: ignore[misc]
    return world


def test_warnings_are_said_before_anything_is_sampled() -> None:
    view = Onlooker()
    prepare(curriculum([point()]), view, warned)
    assert view.said == ["the machine is slow", "the disk is small"]
