"""BabyAI and MiniGrid: gridworlds whose missions are in words, and the bot that solves BabyAI's levels."""

import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.control.environments import general
from perdure.curriculum.worlds.control.environments.contract import ExpertAct, Observation, Simulator, StepResult
from perdure.curriculum.worlds.control.starts import Environment, Start

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

random_options = general.random_options
grid_options = general.grid_options
between_options = general.between_options

PLANES = (11, 6, 4)
"""Objects, colours, and states of a cell; the state of a door is one of three, of an agent one of four directions."""
ONE_HOT = tuple(np.eye(size, dtype=np.float32) for size in PLANES)
DIRECTIONS = np.eye(4, dtype=np.float32)


class MinigridSimulator(general.GymSimulator):
    """Instances of one level, one a slot; it knows the action that was taken last."""

    def __init__(self, environment: Environment, make: general.Make) -> None:
        super().__init__(environment, make)
        self._taken: dict[int, int | None] = {}

    def reset(self, slot: int, start: Start) -> Observation:
        """See `Simulator.reset`."""
        self._taken[slot] = None
        return super().reset(slot, start)

    def step(self, slot: int, action: Any, repeat: int) -> StepResult:
        """See `Simulator.step`."""
        self._taken[slot] = int(action)
        return super().step(slot, action, repeat)

    def taken(self, slot: int) -> int | None:
        """The last action in a slot; `None` after a reset."""
        return self._taken[slot]

    def observed(self, slot: int, found: Any) -> Observation:
        """The cells as planes, or a wrapper's pixels; the direction as a vector; the mission as the instruction."""
        if not isinstance(found, Mapping):
            return super().observed(slot, found)
        level: Any = self.instance(slot).unwrapped
        image, said = found["image"], self.environment.instruction
        if image.shape in ((level.agent_view_size, level.agent_view_size, 3), (level.width, level.height, 3)):
            image = planes(image)
        direction = DIRECTIONS[int(found["direction"])]
        return Observation(direction, image, str(found["mission"]) if said is None else said)


def planes(cells_HW3: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Object, colour and state of each cell, one-hot: shape (H, W, 21)."""
    return np.concatenate([rows[cells_HW3[..., part]] for part, rows in enumerate(ONE_HOT)], axis=-1)


def make(environment: Environment) -> Simulator:
    """See `Adapter.make`."""
    from minigrid.envs.babyai.core import roomgrid_level

    # Levels print each start that they reject, and standard output may be a live view's, drawn by another thread.
    vars(roomgrid_level)["print"] = _say_nothing
    return general.make(environment, MinigridSimulator)


def _say_nothing(*_: object) -> None:
    """Takes the place of `print`."""


def identity(simulator: Simulator, start: Start) -> str:
    """See `Adapter.identity`: of the whole state, of which the policy sees a part."""
    assert isinstance(simulator, MinigridSimulator), "`make` makes no other"
    simulator.reset(0, start)
    return identity_of(simulator.instance(0).unwrapped)


def identity_of(level: Any) -> str:
    """SHA-256 of the grid and what is in its boxes, of the agent and what it carries, and of the mission."""
    boxes = [(place, one.encode()) for place, one in inside(level)]
    agent = tuple(map(int, level.agent_pos)), int(level.agent_dir), level.carrying and level.carrying.encode()
    return sha256(level.grid.encode().tobytes() + repr((boxes, agent, level.mission)).encode()).hexdigest()


def inside(level: Any) -> list[tuple[int, Any]]:
    """The objects in boxes, with the places of the boxes."""
    return [(place, one.contains) for place, one in enumerate(level.grid.grid) if one and one.contains]


def expert(simulator: Simulator, name: str | None) -> ExpertAct:
    """See `Adapter.expert`: BabyAI's bot, which is told of the action that was taken, whatever it advised.

    Raises:
        ConfigError: a level of MiniGrid, which has no bot; `action_repeat` is not 1.
    """
    from minigrid.envs.babyai.core.roomgrid_level import RoomGridLevel
    from minigrid.utils.baby_ai_bot import BabyAIBot

    assert isinstance(simulator, MinigridSimulator), "`make` makes no other"
    if name is not None or not isinstance(simulator.instance(0).unwrapped, RoomGridLevel):
        return general.expert(simulator, name)
    if simulator.environment.action_repeat != 1:
        raise ConfigError(f"{simulator.environment.title}: the bot plans single steps; set `action_repeat: 1`")
    bots: dict[int, tuple[int, Any]] = {}

    def act(slot: int) -> Any:
        begun, _ = simulator.seen(slot)
        try:
            if slot not in bots or bots[slot][0] != begun:
                bots[slot] = begun, BabyAIBot(simulator.instance(slot))  # type: ignore[no-untyped-call]
            return bots[slot][1].replan(simulator.taken(slot))
        except Exception:  # the bot asserts what it takes for granted, and some levels are beyond it
            return None

    return act


def defaults(id: str) -> Mapping[str, Any]:
    """See `Adapter.defaults`: levels pay by their reward, and say nothing of success."""
    return {"success": "return > 0"}
