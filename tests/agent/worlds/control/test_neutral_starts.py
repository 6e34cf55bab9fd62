"""The starts from which the base plays what it likes."""

from pathlib import Path
from typing import Any

from perdure.agent.worlds.control.neutral import INSTRUCTIONS, known_instructions, neutral_starts
from perdure.agent.worlds.control.world import ControlWorld
from perdure.budget.monitor import GENERIC, Monitor
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.tasks import Gymnasium
from tests.control_runs import curriculum, point


def imitated(*instructions: str) -> list[Episode]:
    """Episodes of one observation; the instruction is all that is looked at."""
    nothing: Any = ()
    return [Episode((Observation(instruction=one),), nothing, nothing, 0, False, {}, None) for one in instructions]


def task(**settings: Any) -> Gymnasium:
    return Gymnasium.model_validate(point(**settings))


def test_environments_and_known_instructions_take_turns() -> None:
    tasks = [task(instruction="go"), task(instruction="go", kwargs={"goal": "right"}), task(instruction="go")]
    starts = neutral_starts(tasks, imitated("up", "down", "up", ""), 6, seed=0)
    assert [one.environment.arguments.get("goal") for one in starts] == [None, "right"] * 3
    assert [one.environment.instruction for one in starts] == ["down", "down", "up", "up", "down", "down"]
    assert len({one.identity for one in starts}) == 6
    assert neutral_starts(tasks, imitated("up", "down"), 3, seed=0) == starts[:3]


def test_where_no_instruction_is_known_the_environment_says_its_own() -> None:
    assert [one.environment.instruction for one in neutral_starts([task()], [], 2, seed=0)] == ["go", "go"]
    assert known_instructions(imitated(""), seed=0) == []


def test_a_few_of_many_instructions_are_drawn() -> None:
    many = imitated(*map(str, range(20)))
    assert len(known_instructions(many, seed=0)) == INSTRUCTIONS
    assert known_instructions(many, seed=0) != known_instructions(many, seed=1)


def test_the_base_plays_from_them_and_a_policy_that_moved_is_told_from_it(tmp_path: Path) -> None:
    config = curriculum([point(instruction="rise", kwargs={"goal": "up"})])
    world = ControlWorld(config)
    starts = world.neutral_prompts(3, config)
    assert {one.environment.instruction for one in starts} == {"go"}
    world.prepare_base({GENERIC: starts}, tmp_path / "base", seed=0)
    monitor = Monitor(config.budget.model_copy(update={"prompts": "generic"}), world.measure)
    assert monitor.read(0, []).kl.value == 0
    for one in world.trained.values():
        one.add_(0.1)
    assert monitor.read(1, []).kl.value > 0
