"""BabyAI and MiniGrid: starts, observations, the bot, and episodes that are the same again."""

import subprocess
import sys
from itertools import islice
from typing import Any

import numpy as np
import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.control.actions import actions_of
from perdure.curriculum.worlds.control.demonstrations.expert import expert_episodes
from perdure.curriculum.worlds.control.draw import random_starts, row_of
from perdure.curriculum.worlds.control.environments import minigrid
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.playing import play
from perdure.curriculum.worlds.control.rewards import reward_of
from perdure.curriculum.worlds.control.source import environment_of
from perdure.curriculum.worlds.control.starts import Start
from perdure.curriculum.worlds.control.tasks import Expert, Gymnasium

LEVEL = {"type": "gymnasium", "id": "BabyAI-GoToObj-v0", "horizon": 40, "demonstrations": {"type": "expert"}}
OBJECT, RED, OPEN = 0, 11, 17
"""First planes of the objects, the colours and the states."""


def level(**changes: Any) -> Gymnasium:
    return Gymnasium.model_validate(LEVEL | changes)


def simulator(**changes: Any) -> minigrid.MinigridSimulator:
    found = simulator_of(environment_of(level(**changes)))
    assert isinstance(found, minigrid.MinigridSimulator)
    return found


def starts(count: int, **changes: Any) -> list[Start]:
    config = level(**changes)
    return list(islice(random_starts(config, environment_of(config), 0, "test"), count))


def by_the_bot(found: list[Start], noise: float = 0.0) -> list[Episode]:
    actions = actions_of(simulator_of(found[0].environment).action_space, 21, "test")
    return expert_episodes(Expert(noise=noise), found, actions, seed=0)


def test_cells_are_planes_the_direction_a_vector_and_the_mission_the_instruction() -> None:
    (start,) = starts(1, id="BabyAI-GoToRedBallGrey-v0")
    played = simulator(id="BabyAI-GoToRedBallGrey-v0")
    seen = played.reset(0, start)
    cells = played.instance(0).unwrapped.gen_obs()["image"]  # type: ignore[attr-defined]
    assert seen.image is not None and seen.image.shape == (7, 7, 21) and seen.image.dtype == np.float32
    assert np.array_equal(seen.image[..., OBJECT:RED].argmax(-1), cells[..., 0])
    assert np.array_equal(seen.image[..., RED:OPEN].argmax(-1), cells[..., 1])
    assert np.array_equal(seen.image[..., OPEN:].argmax(-1), cells[..., 2])
    assert (seen.image.sum(-1) == 3).all()
    assert seen.vector.tolist() == np.eye(4)[played.instance(0).unwrapped.agent_dir].tolist()  # type: ignore[attr-defined]
    assert seen.instruction == "go to the red ball"


def test_an_instruction_of_ones_own_takes_the_place_of_the_mission() -> None:
    changes = {"instruction": "find it"}
    assert simulator(**changes).reset(0, starts(1, **changes)[0]).instruction == "find it"


def test_a_grid_seen_whole_is_planes_too_and_pixels_are_pixels() -> None:
    whole = {"wrappers": ["minigrid.wrappers:FullyObsWrapper"]}
    seen = simulator(**whole).reset(0, starts(1, **whole)[0])
    assert seen.image is not None and seen.image.shape == (8, 8, 21)
    pixels = {"wrappers": ["minigrid.wrappers:RGBImgPartialObsWrapper"]}
    drawn = simulator(**pixels).reset(0, starts(1, **pixels)[0])
    assert drawn.image is not None and drawn.image.shape == (56, 56, 3) and drawn.image.dtype == np.uint8


def test_the_same_start_is_the_same_state_whatever_was_there_before() -> None:
    played = simulator()
    one, other = starts(2)
    identity = minigrid.identity(played, one)
    first = played.reset(3, one)
    played.step(3, 2, 1)
    assert minigrid.identity(played, other) != identity
    again = played.reset(3, one)
    assert first.image is not None and again.image is not None
    assert np.array_equal(first.image, again.image) and first.instruction == again.instruction
    assert minigrid.identity(played, one) == identity


def test_the_identity_tells_states_apart_that_look_alike() -> None:
    """The box of KeyInBox looks the same whatever it holds, and an object behind the agent is not seen."""
    played = simulator(id="BabyAI-KeyInBox-v0")
    (start,) = starts(1, id="BabyAI-KeyInBox-v0")
    before = minigrid.identity(played, start)
    state: Any = played.instance(0).unwrapped
    assert [inside.type for _, inside in minigrid.inside(state)] == ["key"]
    assert minigrid.identity_of(state) == before
    minigrid.inside(state)[0][1].color = "grey" if minigrid.inside(state)[0][1].color != "grey" else "red"
    assert minigrid.identity_of(state) != before


def test_training_heldout_and_the_bases_starts_are_distinct() -> None:
    known = {"task": LEVEL, "episodes": 5}
    model = ControlModel.model_validate({"type": "control", "pretrain": {"tasks": [known]}})
    task = build_task(level(train=40, heldout=20), name="goto", seed=0, model=model)
    rows = [item.row for item in (*task.train, *task.heldout)]
    assert len(set(rows)) == 60
    assert all(item.columns["episodes"] for item in task.train)


@pytest.mark.parametrize("name", ["GoToObj", "OpenDoor", "GoToRedBallGrey", "PickupLoc", "UnlockLocal"])
def test_the_bots_episodes_succeed_also_where_its_advice_is_not_taken(name: str) -> None:
    found = starts(8, id=f"BabyAI-{name}-v0", horizon=60)
    for noise, least in ((0.0, 8), (0.2, 7)):
        episodes = by_the_bot(found, noise)
        assert sum(reward_of(found[0].environment, one) for one in episodes) >= least
        assert [one.digest for one in episodes] == [one.digest for one in by_the_bot(found, noise)]


def test_the_bot_changes_nothing() -> None:
    (start,) = starts(1, id="BabyAI-UnlockLocal-v0")
    played = simulator(id="BabyAI-UnlockLocal-v0")
    played.reset(0, start)
    state: Any = played.instance(0).unwrapped
    act, before = minigrid.expert(played, None), minigrid.identity_of(state)
    for _ in range(5):
        advised = act(0)
        assert minigrid.identity_of(state) == before
        played.step(0, advised, 1)
        before = minigrid.identity_of(state)


def test_a_bot_that_is_lost_gives_up() -> None:
    """It takes for granted that nobody opens a box, which destroys it."""
    (start,) = starts(1, id="BabyAI-KeyInBox-v0")
    played = simulator(id="BabyAI-KeyInBox-v0")
    act = minigrid.expert(played, None)
    played.reset(0, start)
    state: Any = played.instance(0).unwrapped
    from minigrid.core.world_object import Box

    act(0)
    state.grid.set(*state.front_pos, Box("red"))
    played.step(0, 6, 1)
    act(0)
    played.step(0, 5, 1)
    assert act(0) is None


def test_episodes_do_not_depend_on_their_company() -> None:
    found = starts(4)
    actions = actions_of(simulator().action_space, 21, "test")

    def choose(seen: Any, numbers: Any) -> Any:
        return np.array([[int(one.image.sum() + one.image[:4].argmax()) % 3] for one in seen])

    together = [one.digest for one in play(found, actions, choose)]
    assert together == [play([one], actions, choose)[0].digest for one in found]


def test_levels_of_minigrid_are_environments_without_an_expert() -> None:
    changes = {"id": "MiniGrid-Empty-5x5-v0", "demonstrations": None}
    found = starts(1, **changes)
    actions = actions_of(simulator(**changes).action_space, 21, "test")
    forward = iter([2, 2, 1, 2, 2])
    (episode,) = play(found, actions, lambda seen, _: np.array([[next(forward)]]))
    assert reward_of(found[0].environment, episode) == 1
    with pytest.raises(ConfigError, match="has no expert of its own"):
        minigrid.expert(simulator(**changes), None)


def test_the_bot_plans_single_steps() -> None:
    with pytest.raises(ConfigError, match="set `action_repeat: 1`"):
        minigrid.expert(simulator(action_repeat=2), None)


def test_an_unknown_level_is_told_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="BabyAI-GoToObj-v0"):
        simulator(id="BabyAI-GoToObjj-v0")


def test_it_draws_a_picture() -> None:
    played = simulator()
    played.reset(0, starts(1)[0])
    picture = played.render(0)
    assert picture.dtype == np.uint8 and picture.shape == (256, 256, 3)


def test_nothing_is_printed_and_the_schema_does_not_import_it() -> None:
    """Among these starts some are rejected, of which minigrid prints a line each, and pygame greets."""
    code = f"""
import sys
from itertools import islice
from perdure.curriculum.worlds.control.tasks import Gymnasium
from perdure.curriculum.worlds.control.model import ControlModel
assert "minigrid" not in sys.modules and "pygame" not in sys.modules
from perdure.curriculum.worlds.control.draw import random_starts, row_of
from perdure.curriculum.worlds.control.source import environment_of
config = Gymnasium.model_validate({LEVEL | {"id": "BabyAI-PickupLoc-v0"}})
for start in islice(random_starts(config, environment_of(config), 0), 40):
    row_of(config, start)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_rows_tell_levels_apart() -> None:
    config = level()
    other = level(id="BabyAI-GoToObjS4-v0")
    assert row_of(config, starts(1)[0]) != row_of(other, starts(1, id="BabyAI-GoToObjS4-v0")[0])
