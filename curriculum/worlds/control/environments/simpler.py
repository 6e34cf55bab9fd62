"""SimplerEnv (arXiv 2405.05941), whose tasks are named `SimplerEnv/google_robot_pick_coke_can` or by gymnasium's id.

An action is what OpenVLA gives: the hand's move, its turn in roll, pitch and yaw, and how far the gripper is open.
An observation is the camera's picture and the instruction. Both follow SimplerEnv's evaluation of OpenVLA
(`simpler_env/policies`), except that no image is resized here: the policy's processor does it.
"""

import json
from functools import reduce
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import load_function, show_error
from perdure.curriculum.messages import did_you_mean, one_line
from perdure.curriculum.worlds.control.code_kinds import WRAPPER
from perdure.curriculum.worlds.control.environments import general
from perdure.curriculum.worlds.control.environments.contract import Simulator
from perdure.curriculum.worlds.control.environments.general import GymSimulator
from perdure.curriculum.worlds.control.starts import Environment, Start

PREFIX = "SimplerEnv/"
CAMERAS = {"google_robot": "overhead_camera", "widowx": "3rd_view_camera"}
STICKY = 15
"""Steps for which the Google robot's gripper goes on once it begins to open or close: it moves slowly."""

Env = gymnasium.Env[Any, Any]


class Gripper:
    """From how far the gripper shall be open, 0 to 1, to what the robot is told.

    The Google robot is told changes, each held for `STICKY` steps; the WidowX open (1) or closed (-1).
    """

    def __init__(self, robot: str) -> None:
        self._robot = robot
        self._before: float | None = None
        self._held, self._left = 0.0, 0

    def command(self, open_: float) -> float:
        """The command of the next step."""
        if self._robot != "google_robot":
            return 1.0 if open_ > 0.5 else -1.0
        change = 0.0 if self._before is None else self._before - open_
        self._before = open_
        if abs(change) > 0.5 and not self._left:
            self._held, self._left = change, STICKY
        if not self._left:
            return change
        self._left -= 1
        return self._held


class Robot(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment of SimplerEnv with OpenVLA's actions, and a picture and an instruction as the observation."""

    def __init__(self, env: Env, instruction: str | None) -> None:
        super().__init__(env)
        uid = str(getattr(env.unwrapped, "robot_uid", "google_robot"))
        self._robot = next((name for name in CAMERAS if name in uid), "google_robot")
        self._said = instruction
        self._gripper = Gripper(self._robot)
        self.action_space = spaces.Box(-1, 1, (7,), np.float64)
        self.observation_space: Any = spaces.Dict(
            {"image": spaces.Box(0, 255, (512, 640, 3), np.uint8), "instruction": spaces.Text(1000)}
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See `gymnasium.Env.reset`; what the options leave open is drawn from the seed."""
        self._gripper = Gripper(self._robot)
        seen, info = self.env.reset(seed=seed, options=_arrays({} if options is None else options))
        return self._seen(seen), info

    def step(self, action: NDArray[np.float64]) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step of 7 numbers: move, turn, and how far the gripper is open."""
        turn = Rotation.from_euler("xyz", action[3:6]).as_rotvec()
        told = np.concatenate([action[:3], turn, [self._gripper.command(float(action[6]))]])
        seen, reward, terminated, truncated, info = self.env.step(told)
        return self._seen(seen), float(reward), bool(terminated), bool(truncated), info

    def _seen(self, seen: Any) -> dict[str, Any]:
        inner: Any = self.env.unwrapped
        said = inner.get_language_instruction() if self._said is None else self._said
        return {"image": np.asarray(seen["image"][CAMERAS[self._robot]]["rgb"], np.uint8), "instruction": said}


def make(environment: Environment) -> Simulator:
    """See `Adapter.make`.

    Raises:
        ConfigError: SimplerEnv is not installed, has no such task, or cannot make it.
    """
    try:
        simpler: Any = import_module("simpler_env")
    except Exception as error:
        raise ConfigError(
            f"{environment.id} needs SimplerEnv, which cannot be imported here ({type(error).__name__}: "
            f"{one_line(error)}). It is not on PyPI and needs a GPU; docs/openvla.md says how to install it"
        ) from error
    name = environment.id.removeprefix(PREFIX)
    known = dict(simpler.ENVIRONMENT_MAP)
    id, implied = known.get(name, (name, {}))
    if id not in gymnasium.registry:
        near = did_you_mean(name, [*known, *(one for one, _ in known.values())])
        raise ConfigError(f"SimplerEnv has no task {name!r}{near}")
    wrappers = [load_function(path, WRAPPER) for path in environment.wrappers]
    arguments = {"obs_mode": "rgbd", "prepackaged_config": True} | implied | environment.arguments

    def instance() -> Env:
        try:
            made: Env = Robot(gymnasium.make(id, **arguments), environment.instruction)
            return reduce(lambda inner, wrap: wrap(inner), wrappers, made)
        except Exception as error:
            raise ConfigError(f"{environment.title} cannot be made: {show_error(error)}") from error

    return GymSimulator(environment, instance)


def _arrays(value: Any) -> Any:
    """Options with arrays in place of lists, as SimplerEnv takes them."""
    if isinstance(value, dict):
        return {key: _arrays(one) for key, one in value.items()}
    return np.array(value) if isinstance(value, list) else value


def identity(simulator: Simulator, start: Start) -> str:
    """See `Adapter.identity`: seed and options, which tell a start without a picture of it."""
    return json.dumps([start.seed, start.options])


random_options = general.random_options
grid_options = general.grid_options
between_options = general.between_options
expert = general.expert
defaults = general.defaults
