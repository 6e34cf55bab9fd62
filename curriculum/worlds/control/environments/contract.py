"""The contract of a simulator: one environment in many states at once, each in a slot of its own.

A simulator of many slots can share what its states have in common, such as a robot's model.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from gymnasium import Space
from numpy.typing import NDArray

from perdure.curriculum.worlds.control.starts import Environment, Start

NO_VECTOR: NDArray[np.float32] = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Observation:
    """The observation of one decision.

    Attributes:
        vector: numbers, shape (F,), float32; F may be 0.
        image: shape (H, W, C), uint8 (pixels) or float32 (planes); `None`: there is none.
        instruction: what is to be done, in words; may be empty.
    """

    vector: NDArray[np.float32] = field(default_factory=lambda: NO_VECTOR)
    image: NDArray[Any] | None = None
    instruction: str = ""

    @property
    def content(self) -> bytes:
        """All that it holds, as bytes to be hashed."""
        image = b"" if self.image is None else self.image.tobytes()
        return self.vector.tobytes() + self.instruction.encode() + image


@dataclass(frozen=True)
class StepResult:
    """The result of one decision: an action, held for `action_repeat` steps or until the episode ends.

    `reward` is summed over these steps. `success` is `None` where the environment does not report it.
    """

    observation: Observation
    reward: float
    ended: bool
    success: bool | None
    steps: int
    info: dict[str, Any] = field(default_factory=dict)


ExpertAct = Callable[[int], Any]
"""The expert's action in the state of a slot, in the environment's own action space, or `None`: it gives up.

It is called once a decision; after a `reset` of the slot it begins anew.
"""


class Simulator(Protocol):
    """One environment in the states of its slots, which are numbered from 0 and made when they are first used."""

    action_space: Space[Any]

    @property
    def observation_space(self) -> Space[Any]:
        """The space of what `recorded` takes: the environment's own observations."""
        ...

    def reset(self, slot: int, start: Start) -> Observation:
        """Put a slot into the state of a start: the same start, the same state, whatever was there before."""
        ...

    def step(self, slot: int, action: Any, repeat: int) -> StepResult:
        """Hold an action for `repeat` steps, or until the episode ends, by success or by itself."""
        ...

    def recorded(self, found: Any) -> Observation:
        """A recorded observation of the environment, as the policy would have been given it.

        Raises:
            ValueError: it has another shape or type.
        """
        ...

    def render(self, slot: int) -> NDArray[np.uint8]:
        """A picture of the state, shape (H, W, 3).

        Raises:
            ConfigError: it cannot be drawn here.
        """
        ...

    def close(self) -> None:
        """Free what the environment holds."""
        ...


class Adapter(Protocol):
    """The module of a family of environments."""

    make: Callable[[Environment], Simulator]
    """The simulator of an environment. Raises ConfigError: it is not there, or cannot be made."""

    random_options: Callable[[Simulator, np.random.Generator], dict[str, Any] | None]
    """The options of a random start; `None`: a seed says all."""

    grid_options: Callable[[Simulator, tuple[int, ...]], list[dict[str, Any]]]
    """The options of starts on a grid of so many places along each direction. Raises ConfigError: it has no such grid.
    """

    between_options: Callable[[Simulator, tuple[int, ...], np.random.Generator], dict[str, Any]]
    """The options of a random start within the area that such a grid covers."""

    identity: Callable[[Simulator, Start], str]
    """A text that is equal for starts of the same state; may reset slot 0."""

    expert: Callable[[Simulator, str | None], ExpertAct]
    """The expert of a name, or the environment's own. Raises ConfigError: there is none."""

    defaults: Callable[[str], dict[str, Any]]
    """Settings of `Environment` that an id implies, such as `success`."""
