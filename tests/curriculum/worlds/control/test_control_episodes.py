"""Episodes: what they are made of, where they end, and what does not depend on those before or beside them."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from perdure.curriculum.counting import expect, watched
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.control.actions import actions_of
from perdure.curriculum.worlds.control.demonstrations.expert import expert_episodes
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.playing import play
from perdure.curriculum.worlds.control.rewards import reward_of
from perdure.curriculum.worlds.control.starts import Environment, Start
from perdure.curriculum.worlds.control.tasks import Expert, Gymnasium
from perdure.eval.sampled_rewards import demonstrated_rewards
from tests.control_runs import base, point

LEFT = [0, 2]
"""Of five values a dimension: -1 and 0."""


def environment(name: str = "Point-v0", **settings: object) -> Environment:
    return Environment(f"tests.point_world:{name}", **settings)  # type: ignore[arg-type]


def played(starts: Sequence[Start]) -> list[Episode]:
    def choose(seen: Sequence[object], _: Sequence[int]) -> NDArray[np.int64]:
        return np.array([LEFT] * len(seen))

    space = simulator_of(starts[0].environment).action_space
    return play(starts, actions_of(space, 5, "here"), choose)


def test_a_start_of_options_alone_decides_what_is_drawn_after_it() -> None:
    windy = environment("PointWindy-v0", horizon=4, kwargs='{"goal": "right"}')
    one, other = (Start(windy, None, f'{{"x": 0.5, "y": {y}}}') for y in (0.0, 0.1))
    (alone,) = played([one])
    beside = played([other, one, one])
    assert beside[1] == beside[2] == alone != beside[0]
    assert len({seen.vector.tobytes() for seen in alone.observations}) == 4


@pytest.mark.filterwarnings("ignore:.*share an object")
def test_an_image_that_the_environment_draws_over_is_kept_as_it_was_seen() -> None:
    reused, fresh = (
        played([Start(environment(name, horizon=3, kwargs='{"goal": "right"}'), 7)])[0]
        for name in ("PointReused-v0", "PointPicture-v0")
    )
    assert [one.image.tolist() for one in reused.observations] == [one.image.tolist() for one in fresh.observations]  # type: ignore[union-attr]
    assert not np.array_equal(reused.observations[0].image, reused.observations[1].image)  # type: ignore[arg-type]


def test_episodes_are_counted_as_they_end() -> None:
    at_once, later = (Start(environment(horizon=3), None, f'{{"x": {x}, "y": 0.0}}') for x in (-0.45, 0.5))
    told: list[tuple[int, int]] = []
    with watched(lambda done, total: told.append((done, total))):
        expect(2)
        played([later, at_once])
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_return_is_that_of_the_whole_episode() -> None:
    start = '{"x": -0.45, "y": 0.0}'  # the left goal is reached by the first of the actions, and stays reached by three
    by_info, by_return = (
        Start(environment(horizon=3, success=success, action_repeat=1), None, start)
        for success in ("info", "return >= 2")
    )
    assert [(len(one.actions), one.total) for one in played([by_info])] == [(1, 1.0)]
    (episode,) = played([by_return])
    assert (len(episode.actions), episode.total) == (3, 3.0)
    assert reward_of(by_return.environment, episode) == 1.0
    assert [environment(success=one).by_return for one in ("return > 0", "info", "returns:best")] == [
        True,
        False,
        False,
    ]


def test_an_expert_that_gives_up_fails_whatever_its_return_is() -> None:
    start = Start(environment(success="return > -1"), 3)
    space = simulator_of(start.environment).action_space
    giving_up = Expert(expert="tests.faulty_world:weary_expert")
    (episode,) = expert_episodes(giving_up, [start], actions_of(space, 5, "here"), seed=0)
    assert episode.fault == "decision 1: the expert gives up"
    assert reward_of(start.environment, episode) == 0.0


@pytest.mark.parametrize(("success", "worth"), [("info", 1.0), ("tests.point_world:graded", 0.7)])
def test_a_demonstration_is_worth_its_reward_and_nothing_where_none_succeeded(success: str, worth: float) -> None:
    """Of one step, the expert reaches (-0.8, 0) from all starts but the first."""
    starts = [{"options": {"x": x, "y": y / 100}} for x, y in [(0.5, 0), *((-0.6, one) for one in range(4))]]
    section = point(starts=starts, horizon=1, heldout=2, success=success)
    task = build_task(Gymnasium.model_validate(section), name="go", seed=0, model=ControlModel.model_validate(base()))
    assert [len(item.columns["episodes"]) for item in task.train] == [0, 1, 1]
    assert demonstrated_rewards(task, task.train) == [0.0, worth, worth]
