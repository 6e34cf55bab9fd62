"""Meta-World (Yu et al., arXiv 1910.10897): `id: Meta-World/MT1` with `env_name`, a task's name.

A start is `options: {rand_vec: [...]}`, the numbers that the stock environment draws: object, then goal; a seed draws
them. (Stock environments ignore the seed of `reset`.) Three departures from stock environments: the reward is success,
an episode ends by success, and the first observation is never an old one.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import load_function
from perdure.curriculum.messages import did_you_mean, shorten
from perdure.curriculum.worlds.control.code_kinds import EXPERT
from perdure.curriculum.worlds.control.environments.contract import ExpertAct, Observation, StepResult
from perdure.curriculum.worlds.control.environments.metaworld_task import MetaWorldTask, SlotState, load, task_of
from perdure.curriculum.worlds.control.environments.mujoco_camera import Camera
from perdure.curriculum.worlds.control.environments.shapes import unlike
from perdure.curriculum.worlds.control.starts import Environment, Start

ID = "Meta-World/MT1"
OBSERVATIONS = spaces.Box(-np.inf, np.inf, (39,), np.float64)
PICTURE: dict[str, Any] = {"camera_name": "corner2", "width": 224, "height": 224}
"""The arguments of an environment, which are all about its pictures."""


class MetaWorldSimulator:
    """The episodes of one task: all share the stock environment."""

    def __init__(self, environment: Environment, task: MetaWorldTask) -> None:
        self.environment, self.task = environment, task
        self.action_space = spaces.Box(-1, 1, (4,), np.float32)
        said = environment.instruction
        self._instruction = task.name if said is None else said
        self._episodes: dict[int, SlotState] = {}
        self._begun: dict[int, int] = {}
        self._camera: Camera | None = None

    def reset(self, slot: int, start: Start) -> Observation:
        """See `Simulator.reset`."""
        episode = self.task.begin(rand_vec_of(self, start))
        self._episodes[slot] = episode
        self._begun[slot] = self._begun.get(slot, 0) + 1
        return self._observed(episode)

    def step(self, slot: int, action: Any, repeat: int) -> StepResult:
        """See `Simulator.step`; the reward is 1 in the step that succeeds."""
        episode = self._episodes[slot]
        steps = self.task.step(episode, action, repeat)
        success = episode.success
        return StepResult(self._observed(episode), float(success), episode.ended, success, steps, {"success": success})

    def acting(self, slot: int) -> tuple[int, NDArray[np.float64]]:
        """How often a slot was reset, and Meta-World's own 39 numbers; its environment is then in the slot's state."""
        return self._begun[slot], self.task.stock_observation(self._episodes[slot])

    def _observed(self, episode: SlotState) -> Observation:
        return Observation(vector_of(episode.now.seen, episode.before.seen, episode.goal), None, self._instruction)

    @property
    def observation_space(self) -> spaces.Box:
        """See `Simulator.observation_space`: Meta-World's own 39 numbers."""
        return OBSERVATIONS

    def recorded(self, found: Any) -> Observation:
        """See `Simulator.recorded`; the last three numbers are the goal, which must not be hidden."""
        fault = unlike(OBSERVATIONS, found)
        if fault is not None:
            raise ValueError(fault)
        seen_39 = np.asarray(found, np.float64)
        now_7, before_7, goal_3 = seen_39[:7], seen_39[18:25], seen_39[36:]
        if not goal_3.any():
            raise ValueError(
                "the observation's last three numbers, the goal, are 0: it was recorded with a hidden goal"
            )
        return Observation(vector_of(now_7, before_7, goal_3), None, self._instruction)

    def render(self, slot: int) -> NDArray[np.uint8]:
        """See `Simulator.render`."""
        self.task.refresh(self._episodes[slot])
        if self._camera is None:
            wanted = PICTURE | _arguments(self.environment)
            self._camera = Camera(self.task.model, wanted["camera_name"], wanted["width"], wanted["height"])
        return self._camera.picture(self.task.data)

    def close(self) -> None:
        """See `Simulator.close`; the stock environment stays for the next simulator of the task."""
        self._episodes.clear()


def vector_of(now_7: NDArray[np.float64], before_7: NDArray[np.float64], goal_3: NDArray[np.float64]) -> Any:
    """The 27 numbers that a policy sees, float32.

    17 are Meta-World's: hand (3), gripper and object (3) now and a step before, and the goal. 10 are relative, in
    decimetres: from hand to object, from object to goal, from hand to goal, and how far the hand is from the object.
    """
    hand_3, object_3 = now_7[:3], now_7[4:]
    reach_3 = object_3 - hand_3
    relative_9 = np.concatenate([reach_3, goal_3 - object_3, goal_3 - hand_3]) * 10
    far = np.sqrt(reach_3.dot(reach_3)) * 10
    return np.concatenate([now_7, before_7, goal_3, relative_9, [far]], dtype=np.float32)


def make(environment: Environment) -> MetaWorldSimulator:
    """See `Adapter.make`.

    Raises:
        ConfigError: Meta-World is not installed, the id or the task is unknown, or arguments that it does not take.
    """
    return MetaWorldSimulator(environment, task_of(name_of(environment)))


def name_of(environment: Environment) -> str:
    """The name of its task. Raises ConfigError: see `make`; whether there is such a task, `class_of` knows."""
    if environment.id != ID:
        near = did_you_mean(environment.id, [ID]) or f"; write `id: {ID}` with `env_name: NAME`"
        raise ConfigError(f"{shorten(environment.id)!r} has many tasks, or is none of Meta-World's ids{near}")
    if environment.wrappers:
        raise ConfigError(f"{environment.title}: its episodes share one simulator, which takes no `wrappers`")
    _arguments(environment)
    name = environment.arguments.get("env_name")
    if not isinstance(name, str):
        raise ConfigError(f"{ID} needs `env_name`, the name of a task, as 'reach-v3' or 'drawer-open-v3'")
    return name


def _arguments(environment: Environment) -> dict[str, Any]:
    """The arguments about pictures."""
    given = {name: value for name, value in environment.arguments.items() if name != "env_name"}
    for name, value in given.items():
        if name not in PICTURE:
            near = did_you_mean(name, PICTURE)
            raise ConfigError(f"{environment.title}, `kwargs`: Meta-World takes {', '.join(PICTURE)} here, and not "
                              f"{shorten(name)!r}{near}")  # fmt: skip
        if type(value) is not type(PICTURE[name]):
            raise ConfigError(f"{environment.title}, `kwargs`: {name} is {shorten(repr(value))}; it must be like "
                              f"{PICTURE[name]!r}")  # fmt: skip
    return given


def rand_vec_of(simulator: MetaWorldSimulator, start: Start) -> tuple[float, ...]:
    """The numbers of a start.

    Raises:
        ConfigError: options that Meta-World does not have, or numbers outside of its space.
    """
    options, task = start.reset_options, simulator.task
    if options is None:
        return tuple(_drawn(task, task.space.low, task.space.high, np.random.default_rng(start.seed)))
    given = options.get("rand_vec")
    count = len(task.space.low)
    said = f"{start.environment.title}: the options of a start are {{rand_vec: [{count} numbers]}}"
    if set(options) != {"rand_vec"} or not isinstance(given, list) or len(given) != count:
        raise ConfigError(f"{said}, and not {shorten(json.dumps(options))}")
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in given):
        raise ConfigError(f"{said}, and not {shorten(json.dumps(options))}")
    values = np.array(given, np.float64)
    if not ((values >= task.space.low) & (values <= task.space.high)).all():
        raise ConfigError(f"{said} from {task.space.low.tolist()} to {task.space.high.tolist()}, and not {given}")
    return tuple(values.tolist())


def random_options(simulator: MetaWorldSimulator, rng: np.random.Generator) -> dict[str, Any]:
    """See `Adapter.random_options`: numbers within the space of the task."""
    task = simulator.task
    return {"rand_vec": _drawn(task, task.space.low, task.space.high, rng)}


def grid_options(simulator: MetaWorldSimulator, counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """See `Adapter.grid_options`: places along the object's x and y; all other numbers are in the middle.

    Raises:
        ConfigError: not two numbers, several places along a direction in which nothing moves, or a refused place.
    """
    low, high, middle = _area(simulator, counts)
    lines = [np.linspace(low[one], high[one], count) if count > 1 else middle[one : one + 1]
             for one, count in enumerate(counts)]  # fmt: skip
    found = [np.concatenate([[x, y], middle[2:]]) for x in lines[0] for y in lines[1]]
    if any(map(simulator.task.refuses, found)):
        raise ConfigError(f"{simulator.environment.title}: some places of the grid {list(counts)} are too near the "
                          "goal, which Meta-World refuses; list the starts")  # fmt: skip
    return [{"rand_vec": one.tolist()} for one in found]


def between_options(simulator: MetaWorldSimulator, counts: tuple[int, ...], rng: np.random.Generator) -> dict[str, Any]:
    """See `Adapter.between_options`: the object is anywhere in the area of the grid."""
    low, high, middle = _area(simulator, counts)
    where = slice(0, len(counts))
    least, most = middle.copy(), middle.copy()
    least[where], most[where] = low[where], high[where]
    return {"rand_vec": _drawn(simulator.task, least, most, rng)}


def _area(simulator: MetaWorldSimulator, counts: tuple[int, ...]) -> tuple[NDArray[np.float64], ...]:
    space, title = simulator.task.space, simulator.environment.title
    if len(counts) != 2:
        raise ConfigError(f"{title}, `grid`: it has places along the object's x and y, as [4, 4], and not {len(counts)}"
                          " numbers")  # fmt: skip
    for one, (count, axis) in enumerate(zip(counts, "xy", strict=True)):
        if count > 1 and space.low[one] == space.high[one]:
            raise ConfigError(f"{title}, `grid`: its object's {axis} is always {space.low[one]:g}; write 1 there")
    return space.low, space.high, (space.low + space.high) / 2


def _drawn(
    task: MetaWorldTask, low: NDArray[np.float64], high: NDArray[np.float64], rng: np.random.Generator
) -> list[float]:
    while True:
        found = rng.uniform(low, high)
        if not task.refuses(found):
            return list(map(float, found))


def identity(simulator: MetaWorldSimulator, start: Start) -> str:
    """See `Adapter.identity`: the numbers of the start."""
    return json.dumps(rand_vec_of(simulator, start))


def expert(simulator: MetaWorldSimulator, name: str | None) -> ExpertAct:
    """See `Adapter.expert`: Meta-World's scripted policy of the task, or `module:function`.

    The function takes the stock environment, which all slots share: it is in the slot's state while the expert acts.
    """
    made: Callable[[Any], Callable[[Any], Any]]
    if name is None:
        policies = load("metaworld.policies").ENV_POLICY_MAP
        made = lambda _: policies[simulator.task.name]().get_action  # noqa: E731
    else:
        made = load_function(name, EXPERT)
    acting: dict[int, tuple[int, Callable[[Any], Any]]] = {}

    def act(slot: int) -> Any:
        begun, seen = simulator.acting(slot)
        if slot not in acting or acting[slot][0] != begun:
            acting[slot] = begun, made(simulator.task.environment)
        meant = acting[slot][1](seen)
        return None if meant is None else np.clip(meant, -1, 1).astype(np.float32)

    return act


def defaults(id: str) -> dict[str, Any]:
    """See `Adapter.defaults`."""
    return {}
