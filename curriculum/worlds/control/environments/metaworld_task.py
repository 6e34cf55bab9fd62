"""One task of Meta-World: the stock environment, whose state is put aside and taken up again.

All episodes of a task share its MuJoCo model (40 MB) and its data. What an episode has of its own is a few kilobytes:
`mjSTATE_INTEGRATION` (restored without `mj_forward` it goes on bit for bit), the places of bodies and sites in the
model, and the attributes of the environment.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import did_you_mean, shorten
from perdure.curriculum.worlds.control.environments.metaworld_success import SUCCESS

STARTS = 4096
"""Starts that are kept, of each task."""

PLACES = ("body_pos", "body_quat", "site_pos")
"""The parts of the model that a reset changes."""


@dataclass(frozen=True)
class Moment:
    """The state at one moment. `seen` is hand (3), gripper (1) and object (3); metres, the gripper from 0 to 1."""

    physics: NDArray[np.float64]
    seen: NDArray[np.float64]


@dataclass
class SlotState:
    """The state of an episode: now, one step before, and what a reset decides for the whole of it."""

    now: Moment
    before: Moment
    goal: NDArray[np.float64]
    places: tuple[NDArray[np.float64], ...]
    attributes: dict[str, Any]
    steps: int = 0
    success: bool = False
    ended: bool = False


def load(path: str) -> Any:
    """A module of the extra `robots`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(path)
    except ImportError as error:
        raise ConfigError(f"Meta-World is not installed ({error}); pip install 'perdure[robots]'") from error


@cache
def task_of(name: str) -> "MetaWorldTask":
    """The task of a name, made once a process.

    Raises:
        ConfigError: Meta-World is not installed, or has no such task.
    """
    return MetaWorldTask(name, class_of(name)(seed=0))


def class_of(name: str) -> Any:
    """The stock environment of a task, not made. Raises ConfigError: see `task_of`."""
    classes = load("metaworld.env_dict").ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE
    names = [one.removesuffix("-goal-observable") for one in classes]
    if name not in names:
        near = did_you_mean(name, names) or did_you_mean(f"{name}-v3", names)
        raise ConfigError(f"`env_name`: Meta-World has no task {shorten(name)!r}{near}; it has {len(names)}, as "
                          "'reach-v3' and 'drawer-open-v3'")  # fmt: skip
    return classes[f"{name}-goal-observable"]


class MetaWorldTask:
    """The stock environment of a task."""

    def __init__(self, name: str, environment: Any) -> None:
        self.name, self.environment = name, environment
        self.model, self.data = environment.model, environment.data
        self._mujoco = load("mujoco")
        self._kind = self._mujoco.mjtState.mjSTATE_INTEGRATION
        self._size = self._mujoco.mj_stateSize(self.model, self._kind)
        self._success = SUCCESS.get(name)
        bodies = [self.data.body(one).id for one in ("hand", "rightclaw", "leftclaw")]
        self._hand, self._right, self._left = (self.data.xpos[one] for one in bodies)
        space = environment.sawyer_observation_space
        self._low, self._high = space.low, space.high
        self._fresh = self._places(), self._attributes()
        self.start = lru_cache(maxsize=STARTS)(self._start)

    @property
    def space(self) -> Any:
        """The box of `rand_vec`: for most tasks the object's x, y and z, and the goal's."""
        return self.environment._random_reset_space

    def refuses(self, rand_vec: NDArray[np.float64]) -> bool:
        """True for a start that the stock environment draws again: object and goal are too near each other."""
        least = APART.get(self.name, 0.0)
        return bool(least and np.linalg.norm(rand_vec[:2] - rand_vec[-3:-1]) < least)

    def _start(self, rand_vec: tuple[float, ...]) -> SlotState:
        environment = self.environment
        self._take_up(*self._fresh)
        self._mujoco.mj_resetData(self.model, self.data)
        environment._last_rand_vec = np.array(rand_vec)
        environment.reset()
        physics, places = self._physics(), self._places()
        # Some resets move a body and leave its old place in the observation; the state itself goes on without the call.
        self._mujoco.mj_forward(self.model, self.data)
        frame = Moment(physics, self._seen())
        goal = np.clip(environment._get_pos_goal(), self._low[-3:], self._high[-3:])
        environment._prev_obs = environment._get_curr_obs_combined_no_goal()
        return SlotState(frame, frame, goal, places, self._attributes())

    def begin(self, rand_vec: tuple[float, ...]) -> SlotState:
        """An episode that starts there; the same start is reset only once.

        Raises:
            ConfigError: the environment has no such start.
        """
        if self.refuses(np.array(rand_vec)):
            raise ConfigError(f"{self.name}: its object and its goal are less than {APART[self.name]} m apart in "
                              f"`rand_vec` {list(rand_vec)}; Meta-World draws such starts again")  # fmt: skip
        return replace(self.start(rand_vec))

    def step(self, episode: SlotState, action: NDArray[np.float32], repeat: int) -> int:
        """Hold an action for `repeat` steps, or until success or Meta-World's own limit of 500; returns the steps."""
        self.load(episode)
        one: Callable[[SlotState, NDArray[np.float32]], None] = self._stock if self._success is None else self._fast
        for number in range(1, repeat + 1):  # noqa: B007  (the number of steps is returned)
            one(episode, action)
            episode.steps += 1
            episode.ended = episode.success or episode.steps >= self.environment.max_path_length
            if episode.ended:
                break
        return number

    def _fast(self, episode: SlotState, action: NDArray[np.float32]) -> None:
        """A step without Meta-World's reward, which takes five times as long as the physics."""
        environment, mujoco = self.environment, self._mujoco
        environment.set_xyz_action(action[:3])
        self.data.ctrl[:] = action[3], -action[3]
        mujoco.mj_step(self.model, self.data, nstep=environment.frame_skip)
        # The stock environment calls it too, and the solver's next warm start is that of this call.
        mujoco.mj_forward(self.model, self.data)
        episode.before, episode.now = episode.now, Moment(self._physics(), self._seen())
        assert self._success is not None, "`step` chooses"
        episode.success = self._success(environment, episode.now.seen[4:])

    def _stock(self, episode: SlotState, action: NDArray[np.float32]) -> None:
        *_, info = self.environment.step(action)
        episode.before, episode.now = episode.now, Moment(self._physics(), self._seen())
        episode.success = bool(info["success"])
        episode.attributes = self._attributes()

    def load(self, episode: SlotState) -> None:
        """Take up an episode's state; what MuJoCo derives from it is old until the next step or `mj_forward`."""
        self._take_up(episode.places, episode.attributes)
        self._mujoco.mj_setState(self.model, self.data, episode.now.physics, self._kind)

    def refresh(self, episode: SlotState) -> None:
        """Take up an episode's state, and all that MuJoCo derives from it; the episode stays as it is."""
        self.load(episode)
        self._mujoco.mj_forward(self.model, self.data)

    def stock_observation(self, episode: SlotState) -> NDArray[np.float64]:
        """Meta-World's own 39 numbers: 18 now, 18 of the step before, and the goal."""
        self.refresh(replace(episode, now=episode.before))
        before = self.environment._get_curr_obs_combined_no_goal()
        self.refresh(episode)
        now = self.environment._get_curr_obs_combined_no_goal()
        found: NDArray[np.float64] = np.clip(np.hstack([now, before, episode.goal]), self._low, self._high)
        return found

    def _seen(self) -> NDArray[np.float64]:
        apart = np.linalg.norm(self._right - self._left)
        gripper = min(max(apart / 0.1, 0.0), 1.0)
        object_at = self.environment._get_pos_objects()[:3]
        seen = np.concatenate([self._hand, [gripper], object_at])
        clipped: NDArray[np.float64] = np.minimum(np.maximum(seen, self._low[:7]), self._high[:7])
        return clipped

    def _physics(self) -> NDArray[np.float64]:
        found = np.empty(self._size)
        self._mujoco.mj_getState(self.model, self.data, found, self._kind)
        return found

    def _places(self) -> tuple[NDArray[np.float64], ...]:
        return tuple(getattr(self.model, name).copy() for name in PLACES)

    def _attributes(self) -> dict[str, Any]:
        return {name: _kept(value) for name, value in self.environment.__dict__.items()}

    def _take_up(self, places: tuple[NDArray[np.float64], ...], attributes: dict[str, Any]) -> None:
        for name, value in zip(PLACES, places, strict=True):
            getattr(self.model, name)[:] = value
        self.environment.__dict__.update(attributes)


def _kept(value: Any) -> Any:
    """A copy of an array; what looks into MuJoCo's memory goes on doing so."""
    if not isinstance(value, np.ndarray):
        return value
    owner = value
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return value.copy() if owner.base is None else value


APART = {
    "assembly-v3": 0.1,
    "basketball-v3": 0.15,
    "box-close-v3": 0.25,
    "coffee-pull-v3": 0.15,
    "coffee-push-v3": 0.15,
    "disassemble-v3": 0.1,
    "hand-insert-v3": 0.15,
    "peg-insert-side-v3": 0.1,
    "pick-out-of-hole-v3": 0.15,
    "pick-place-v3": 0.15,
    "pick-place-wall-v3": 0.15,
    "push-back-v3": 0.15,
    "push-v3": 0.15,
    "push-wall-v3": 0.15,
    "reach-v3": 0.15,
    "reach-wall-v3": 0.15,
    "shelf-place-v3": 0.1,
    "soccer-v3": 0.15,
    "stick-pull-v3": 0.1,
    "stick-push-v3": 0.1,
    "sweep-into-v3": 0.15,
}
"""Metres that the first two numbers of `rand_vec` are from those two before the last, at least."""
