"""The interface of an environment: what a policy sees and does there, the same in all environments of a curriculum."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.control.actions import Actions
from perdure.curriculum.worlds.control.environments.contract import Observation


@dataclass(frozen=True)
class Interface:
    """Shapes of observations, and the values of actions.

    Attributes:
        owner: whose it is, for messages.
        vector: numbers of an observation.
        image: the shape of its image; `None`: it has none.
        sizes: how many values each dimension of an action has.
        bounds: least and greatest value of each dimension of a continuous action; `None`: actions are whole numbers.
        action_repeat: steps for which an action is held.
        firsts: the least whole number of each dimension, where they do not all begin at 0.
    """

    owner: str
    vector: int
    image: tuple[int, ...] | None
    sizes: tuple[int, ...]
    bounds: tuple[tuple[float, float], ...] | None
    action_repeat: int
    firsts: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As `config.json` of a saved policy keeps it."""
        return {
            "observation": {"vector": self.vector, "image": self.image},
            "actions": {"sizes": self.sizes, "bounds": self.bounds} | ({"firsts": self.firsts} if self.firsts else {}),
            "action_repeat": self.action_repeat,
        }


def interface_of(owner: str, seen: Observation, actions: Actions, action_repeat: int) -> Interface:
    """The interface of an environment that shows such observations and takes such actions."""
    bounds = None if actions.values is None else tuple((float(one[0]), float(one[-1])) for one in actions.values)
    image = None if seen.image is None else tuple(seen.image.shape)
    firsts = tuple(actions.firsts.tolist()) if actions.firsts.any() else ()
    return Interface(owner, len(seen.vector), image, actions.sizes, bounds, action_repeat, firsts)


def from_json(owner: str, kept: Mapping[str, Any]) -> Interface:
    """The interface of which `Interface.to_json` gave this.

    Raises:
        KeyError, TypeError, ValueError: it is no such thing.
    """
    seen, done = kept["observation"], kept["actions"]
    return Interface(
        owner,
        int(seen["vector"]),
        None if seen["image"] is None else tuple(map(int, seen["image"])),
        tuple(map(int, done["sizes"])),
        None if done["bounds"] is None else tuple((float(low), float(high)) for low, high in done["bounds"]),
        int(kept["action_repeat"]),
        tuple(map(int, done.get("firsts", ()))),
    )


def refuse_other(own: Interface, base: Interface) -> None:
    """Refuse an environment that the base cannot act in.

    Raises:
        ConfigError: names both, and what differs.
    """
    for what, mine, its, remedy in _compared(own, base):
        if mine != its:
            raise ConfigError(f"{own.owner} {what} {mine}, and {base.owner} {its}; {remedy}")


def _compared(own: Interface, base: Interface) -> Iterator[tuple[str, str, str, str]]:
    alike = "one policy acts in all environments of a curriculum: make them alike by wrappers (`wrappers`)"
    yield "shows", _seen(own), _seen(base), alike
    yield "takes", _done(own), _done(base), alike
    held = "give all tasks of a curriculum the same `action_repeat`"
    yield "holds an action for", _steps(own.action_repeat), _steps(base.action_repeat), held


def _seen(one: Interface) -> str:
    image = "no image" if one.image is None else f"an image of {' x '.join(map(str, one.image))}"
    return f"{one.vector} numbers and {image}"


def _done(one: Interface) -> str:
    if one.bounds is None:
        least = f" from {', '.join(map(str, one.firsts))}" if one.firsts else ""
        return f"actions of {', '.join(map(str, one.sizes))} values{least}"
    ranges = ", ".join(f"{low:g} to {high:g}" for low, high in one.bounds)
    return f"actions in {one.sizes[0]} values each from {ranges}"


def _steps(count: int) -> str:
    return f"{count} step{'s' if count > 1 else ''}"
