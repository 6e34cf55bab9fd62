"""Any environment that gymnasium can make: one instance a slot, starts by seed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from hashlib import sha256
from typing import Any
from zlib import crc32

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import import_registering, load_function, show_error
from perdure.curriculum.worlds.control.code_kinds import ENVIRONMENT, EXPERT, WRAPPER, look_up
from perdure.curriculum.worlds.control.environments.contract import ExpertAct, Observation, Simulator, StepResult
from perdure.curriculum.worlds.control.environments.shapes import unlike
from perdure.curriculum.worlds.control.starts import Environment, Start

Make = Callable[[], gymnasium.Env[Any, Any]]
"""Makes one more instance."""


class GymSimulator:
    """Instances of one environment, one a slot."""

    def __init__(self, environment: Environment, make: Make) -> None:
        self.environment = environment
        self._make = make
        self._slots: dict[int, gymnasium.Env[Any, Any]] = {}
        self._seen: dict[int, tuple[int, Any]] = {}
        self.action_space = self.instance(0).action_space

    def instance(self, slot: int) -> gymnasium.Env[Any, Any]:
        """The environment of a slot."""
        if slot not in self._slots:
            self._slots[slot] = self._make()
        return self._slots[slot]

    def reset(self, slot: int, start: Start) -> Observation:
        """See `Simulator.reset`; a start without a seed has one that follows from its options."""
        seed = crc32((start.options or "").encode()) >> 1 if start.seed is None else start.seed
        with self._renewed_after_a_fault(slot):
            found, _ = self.instance(slot).reset(seed=seed, options=start.reset_options)
        self._seen[slot] = self._seen.get(slot, (0, None))[0] + 1, found
        return self.observed(slot, found)

    def seen(self, slot: int) -> tuple[int, Any]:
        """How often a slot was reset, and what its environment showed last."""
        return self._seen[slot]

    def step(self, slot: int, action: Any, repeat: int) -> StepResult:
        """See `Simulator.step`."""
        instance, key, total = self.instance(slot), self.environment.success_key, 0.0
        for number in range(1, repeat + 1):  # noqa: B007  (the number of steps is returned)
            with self._renewed_after_a_fault(slot):
                found, reward, terminated, truncated, info = instance.step(action)
            total += float(reward)
            success = bool(info[key]) if key in info else None
            # a return is that of the whole episode
            ended = terminated or truncated or (bool(success) and not self.environment.by_return)
            if ended:
                break
        self._seen[slot] = self._seen[slot][0], found
        return StepResult(self.observed(slot, found), total, ended, success, number, info)

    @contextmanager
    def _renewed_after_a_fault(self, slot: int) -> Iterator[None]:
        """An instance that failed or was interrupted is not used again."""
        try:
            yield
        except BaseException:
            self._slots.pop(slot, None)
            raise

    def observed(self, slot: int, found: Any) -> Observation:
        """An observation of the environment of a slot, as a policy takes it."""
        space = self.instance(slot).observation_space
        said = self.environment.instruction
        return observation_of(space, found, self.environment.title if said is None else said)

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """See `Simulator.observation_space`."""
        found: gymnasium.Space[Any] = self.instance(0).observation_space
        return found

    def recorded(self, found: Any) -> Observation:
        """See `Simulator.recorded`."""
        fault = unlike(self.observation_space, found)
        if fault is not None:
            raise ValueError(fault)
        return self.observed(0, found)

    def render(self, slot: int) -> NDArray[np.uint8]:
        """See `Simulator.render`."""
        picture = self.instance(slot).render()
        if not isinstance(picture, np.ndarray):
            raise ConfigError(f"{self.environment.title} draws no picture: it needs `render_mode: rgb_array`")
        return picture

    def close(self) -> None:
        """See `Simulator.close`."""
        for one in self._slots.values():
            one.close()
        self._slots.clear()


def observation_of(space: Any, found: Any, instruction: str) -> Observation:
    """An observation of a space: its images, its texts, and all the rest as one vector.

    A box of three axes with whole numbers from 0 to 255 is an image. Of a dictionary, at most one part is an image. All
    is copied: an environment may write its next observation into the same array.

    Raises:
        ConfigError: several parts are.
    """
    parts = found if isinstance(space, spaces.Dict) else {"": found}
    inner = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
    images = [np.array(parts[name]) for name, one in inner.items() if is_image(one)]
    texts = [str(parts[name]) for name, one in inner.items() if isinstance(one, spaces.Text)]
    numbers = [
        np.asarray(spaces.flatten(one, parts[name]), np.float32).ravel()
        for name, one in inner.items()
        if not is_image(one) and not isinstance(one, spaces.Text)
    ]
    if len(images) > 1:
        raise ConfigError("an observation has one image at most; choose one by a wrapper (`wrappers`)")
    return Observation(
        np.concatenate(numbers) if numbers else np.zeros(0, np.float32),
        images[0] if images else None,
        " ".join(texts) or instruction,
    )


def is_image(space: Any) -> bool:
    """True for pixels: (H, W, C) from 0 to 255."""
    return isinstance(space, spaces.Box) and len(space.shape) == 3 and space.dtype == np.uint8


def make(environment: Environment, simulator: Callable[[Environment, Make], GymSimulator] = GymSimulator) -> Simulator:
    """See `Adapter.make`; families have simulators of their own.

    Raises:
        ConfigError: no such id (near ones are named), a wrapper that is not there, or the environment fails.
    """
    if ":" in environment.id:
        import_registering(environment.id, ENVIRONMENT)
    else:
        look_up(environment.id)
    wrappers = [load_function(path, WRAPPER) for path in environment.wrappers]

    def instance() -> gymnasium.Env[Any, Any]:
        try:
            made = gymnasium.make(environment.id, **({"render_mode": "rgb_array"} | environment.arguments))
            return reduce(lambda inner, wrap: wrap(inner), wrappers, made)
        except Exception as error:
            raise ConfigError(f"{environment.title} cannot be made: {show_error(error)}") from error

    return simulator(environment, instance)


def random_options(simulator: Simulator, rng: np.random.Generator) -> dict[str, Any] | None:
    """See `Adapter.random_options`: a seed says all."""
    return None


def grid_options(simulator: Simulator, counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """See `Adapter.grid_options`."""
    raise ConfigError("this environment has no directions of its own; write the options of `reset` by dotted path, "
                      "as `grid: {options.x: [0, 1, 4]}`")  # fmt: skip


def between_options(simulator: Simulator, counts: tuple[int, ...], rng: np.random.Generator) -> dict[str, Any]:
    """See `Adapter.between_options`."""
    raise ConfigError("this environment has no directions of its own")


def identity(simulator: Any, start: Start) -> str:
    """See `Adapter.identity`: a digest of the first observation, without what the file says of it."""
    simulator.reset(0, start)
    seen = observation_of(simulator.instance(0).observation_space, simulator.seen(0)[1], "")
    return sha256(seen.content).hexdigest()


def expert(simulator: Any, name: str | None) -> ExpertAct:
    """See `Adapter.expert`: `module:function` takes the environment of a slot and returns `act(observation)`."""
    if name is None:
        raise ConfigError(f"{simulator.environment.title} has no expert of its own; write `demonstrations: {{type: "
                          "expert, expert: 'module:function'}`")  # fmt: skip
    made = load_function(name, EXPERT)
    acting: dict[int, tuple[int, Callable[[Any], Any]]] = {}

    def act(slot: int) -> Any:
        begun, found = simulator.seen(slot)
        if slot not in acting or acting[slot][0] != begun:
            acting[slot] = begun, made(simulator.instance(slot))
        return acting[slot][1](found)

    return act


def defaults(id: str) -> Mapping[str, Any]:
    """See `Adapter.defaults`."""
    return {}
