"""SimplerEnv's adapter, on a module of the same shape that is made here: SimplerEnv itself cannot be installed."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.control.environments import simpler
from perdure.curriculum.worlds.control.environments.registry import adapter_of
from perdure.curriculum.worlds.control.starts import Environment, Start


class Can(gymnasium.Env[Any, Any]):
    """What the adapter uses of an environment of SimplerEnv."""

    robot_uid = "google_robot_static"
    observation_space = spaces.Dict({})
    action_space = spaces.Box(-1, 1, (7,), np.float32)

    def __init__(self, obs_mode: str, prepackaged_config: bool, upright: bool = False) -> None:
        self.made = (obs_mode, prepackaged_config, upright)
        self.told: list[Any] = []
        self.begun: tuple[Any, Any] = (None, None)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.begun = seed, options
        return self.picture(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.told.append(action)
        done = np.bool_(len(self.told) == 3)
        return self.picture(), 1.0, bool(done), False, {"success": done}

    def picture(self) -> Any:
        return {"image": {"overhead_camera": {"rgb": np.full((512, 640, 3), len(self.told), np.uint8)}}}

    def get_language_instruction(self) -> str:
        return "pick coke can"


@pytest.fixture
def installed() -> Iterator[None]:
    module = ModuleType("simpler_env")
    module.ENVIRONMENT_MAP = {"google_robot_can": ("SimplerCan-v0", {"upright": True})}  # type: ignore[attr-defined]
    sys.modules["simpler_env"] = module
    gymnasium.register("SimplerCan-v0", entry_point=Can, disable_env_checker=True, order_enforce=False)
    yield
    del sys.modules["simpler_env"], gymnasium.registry["SimplerCan-v0"]


def test_an_environment_shows_a_picture_and_an_instruction_and_says_when_it_succeeds(installed: None) -> None:
    assert adapter_of("SimplerEnv/google_robot_can") is simpler  # type: ignore[comparison-overlap]
    environment = Environment("SimplerEnv/google_robot_can")
    simulator: Any = simpler.make(environment)
    assert simulator.instance(0).unwrapped.made == ("rgbd", True, True)
    seen = simulator.reset(0, Start(environment, None, '{"obj_init_options": {"init_xy": [-0.2, 0.1]}}'))
    assert seen.image.shape == (512, 640, 3) and seen.instruction == "pick coke can" and len(seen.vector) == 0
    seed, options = simulator.instance(0).unwrapped.begun
    assert options["obj_init_options"]["init_xy"].tolist() == [-0.2, 0.1]
    simulator.reset(1, Start(environment, None, '{"obj_init_options": {"init_xy": [-0.2, 0.1]}}'))
    assert simulator.instance(1).unwrapped.begun[0] == seed  # what the options leave open is the same again
    step = simulator.step(0, np.zeros(7), 5)
    assert (step.steps, step.success, step.ended, step.reward) == (3, True, True, 3.0)


def test_a_turn_is_told_as_axis_and_angle(installed: None) -> None:
    simulator: Any = simpler.make(Environment("SimplerEnv/SimplerCan-v0", instruction="take it"))
    assert simulator.reset(0, Start(simulator.environment, 3)).instruction == "take it"
    simulator.step(0, np.array([0.1, 0.2, 0.3, 0.0, 0.0, np.pi / 2, 1.0]), 1)
    (told,) = simulator.instance(0).unwrapped.told
    assert told == pytest.approx([0.1, 0.2, 0.3, 0.0, 0.0, np.pi / 2, 0.0])


def test_the_google_robots_gripper_is_told_changes_that_are_held_for_15_steps() -> None:
    gripper = simpler.Gripper("google_robot")
    told = [gripper.command(1.0), *(gripper.command(0.0) for _ in range(17))]
    assert told == [0.0, *[1.0] * 15, 0.0, 0.0]
    assert [simpler.Gripper("widowx").command(value) for value in (0.2, 0.8)] == [-1.0, 1.0]


def test_what_is_missing_is_said_in_one_message(installed: None) -> None:
    with pytest.raises(ConfigError, match=r"no task 'google_robot_cann'.*google_robot_can"):
        simpler.make(Environment("SimplerEnv/google_robot_cann"))
    del sys.modules["simpler_env"]
    with pytest.raises(ConfigError, match=r"needs SimplerEnv.*docs/openvla\.md"):
        simpler.make(Environment("SimplerEnv/google_robot_can"))
    sys.modules["simpler_env"] = ModuleType("simpler_env")
