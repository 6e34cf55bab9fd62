"""Environments for tests that fail, each in a way of its own."""

import itertools
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tests.point_world import Point


class Faulty(Point):
    """The point, which fails in its first or every third episode: `fault` says how, `at_reset` when."""

    def __init__(self, fault: str, often: bool = True, goal: str = "left", render_mode: str | None = None) -> None:
        super().__init__(goal, render_mode)
        self.fault, self.often = fault, often
        if fault == "actions":
            self.action_space = spaces.Dict({"move": spaces.Discrete(2)})
        if fault == "unbounded":
            self.action_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        found = super().reset(seed=None if self.fault == "seedless" else seed, options=options)
        if self.fault == "reset":
            raise RuntimeError("no robot there")
        return found

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = super().step(action)
        if self.often or seen[0] < -0.3:
            return self._fail(seen, reward, info)
        return seen, reward, terminated, truncated, info

    def _fail(self, seen: Any, reward: float, info: dict[str, Any]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        match self.fault:
            case "raise":
                raise RuntimeError("gripper\nlost")
            case "sleep":
                time.sleep(60)
            case "loop":
                for _ in itertools.count():
                    pass
            case "nan":
                seen = np.full_like(seen, np.nan)
            case "reward":
                reward = float("nan")
            case "never":
                pass
            case "never":
                pass
            case "silent":
                info = {"is_success": False, "x": 1}
        return seen, reward, False, False, info

    def render(self) -> NDArray[np.uint8]:
        if self.fault == "draw":
            raise OSError("no display")
        return super().render()


class Wide(Point):
    """The point, which shows three numbers."""

    def __init__(self, goal: str = "left", render_mode: str | None = None) -> None:
        super().__init__(goal, render_mode)
        self.observation_space = spaces.Box(-2, 2, (3,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        seen, info = super().reset(seed=seed, options=options)
        return np.append(seen, np.float32(0)), info


class Fast(Point):
    """The point, whose actions reach further."""

    def __init__(self, goal: str = "left", render_mode: str | None = None) -> None:
        super().__init__(goal, render_mode)
        self.action_space = spaces.Box(-2, 2, (2,), np.float32)


def lazy_expert(environment: Any) -> Any:
    """Never moves."""
    return lambda seen: np.zeros(2, np.float32)


def weary_expert(environment: Any) -> Any:
    """Gives up at once."""
    return lambda seen: None


def mad_expert(environment: Any) -> Any:
    """Is not a number."""
    return lambda seen: np.full(2, np.nan, np.float32)


for one in (Faulty, Wide, Fast):
    gymnasium.register(f"{one.__name__}-v0", entry_point=f"tests.faulty_world:{one.__name__}")
