"""A small environment for tests: a point in a square is to be moved to a corner."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

GOALS = {"left": (-0.8, 0.0), "right": (0.8, 0.0), "up": (0.0, 0.8), "down": (0.0, -0.8)}


class Point(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """The point moves by the action and succeeds within 0.2 of its goal."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, goal: str = "left", render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.goal = np.array(GOALS[goal], np.float32)
        self.observation_space = Box(-2, 2, (2,), np.float32)
        self.action_space = Box(-1, 1, (2,), np.float32)
        self.at = np.zeros(2, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = self.np_random.uniform(-0.5, 0.5, 2).astype(np.float32)
        if options is not None:
            self.at = np.array([options["x"], options["y"]], np.float32)
        return self.at.copy(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at = np.clip(self.at + 0.3 * action, -1, 1).astype(np.float32)
        success = bool(np.linalg.norm(self.at - self.goal) < 0.2)
        return self.at.copy(), float(success), False, False, {"success": success}

    def render(self) -> NDArray[np.uint8]:
        picture = np.full((64, 64, 3), 255, np.uint8)
        for place, colour in ((self.goal, (200, 0, 0)), (self.at, (0, 0, 200))):
            x, y = ((place + 1) * 31).astype(int)
            picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = colour
        return picture


class Picture(Point):
    """The same, seen as a picture: the point in white on black."""

    def __init__(self, goal: str = "left", size: int = 16, render_mode: str | None = None) -> None:
        super().__init__(goal, render_mode)
        self.size = size
        self.observation_space = Box(0, 255, (size, size, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        _, info = super().reset(seed=seed, options=options)
        return self.picture(), info

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        _, *rest = super().step(action)
        return self.picture(), *rest  # type: ignore[return-value]

    def picture(self) -> NDArray[np.uint8]:
        """The point as a square of the picture's quarter width."""
        found = np.zeros((self.size, self.size, 3), np.uint8)
        wide = self.size // 4
        x, y = ((self.at + 1) / 2 * (self.size - wide)).round().astype(int)
        found[y : y + wide, x : x + wide] = 255
        return found


class Windy(Point):
    """The point in a wind that is drawn at every step."""

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return super().step(action + self.np_random.normal(0, 0.1, 2).astype(np.float32))


class Reused(Picture):
    """The picture, always in the same array."""

    drawn: NDArray[np.uint8] | None = None

    def picture(self) -> NDArray[np.uint8]:
        if self.drawn is None:
            self.drawn = np.zeros((self.size, self.size, 3), np.uint8)
        self.drawn[...] = super().picture()
        return self.drawn


def picture_expert(environment: Any) -> Callable[[Any], NDArray[np.float32]]:
    """Goes straight to the goal."""
    inner = environment.unwrapped
    return lambda seen: np.clip((inner.goal - inner.at) / 0.3, -1, 1).astype(np.float32)


def expert(environment: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Goes straight to the goal."""
    goal = environment.unwrapped.goal

    def act(seen: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip((goal - seen) / 0.3, -1, 1).astype(np.float32)

    return act


def is_played(episode: Any) -> bool:
    """The episode came to its end: every token was an action."""
    return len(episode.actions) > 0


def graded(episode: Any) -> float:
    """A success is worth 0.7."""
    return 0.7 * bool(episode.success)


gymnasium.register("Point-v0", entry_point="tests.point_world:Point")
gymnasium.register("PointPicture-v0", entry_point="tests.point_world:Picture")
gymnasium.register("PointWindy-v0", entry_point="tests.point_world:Windy")
gymnasium.register("PointReused-v0", entry_point="tests.point_world:Reused")
