"""Attaches demonstrations to training starts."""

from collections.abc import Sequence
from dataclasses import replace

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.control.actions import Actions
from perdure.curriculum.worlds.control.demonstrations.expert import expert_episodes
from perdure.curriculum.worlds.control.episodes import Episode, text_of
from perdure.curriculum.worlds.control.rewards import reward_of
from perdure.curriculum.worlds.control.tasks import Expert, Gymnasium

SUCCESS = 0.5
"""The reward from which an episode is a success, which alone is imitated."""


def demonstrated(
    config: Gymnasium, items: Sequence[Item], actions: Actions, where: str, *, seed: int
) -> tuple[Item, ...]:
    """The items with their demonstrations: `columns["episodes"]` has those that succeeded.

    `demonstration` is the text of the first, or empty where none succeeded.

    Raises:
        ConfigError, DataError: no expert, or none of its episodes succeeds.
    """
    if config.demonstrations is None:
        return tuple(items)
    if not isinstance(config.demonstrations, Expert):
        raise ConfigError(f"{where}: recorded demonstrations are not read yet")
    played = expert_episodes(config.demonstrations, [item.prompt for item in items], actions, seed=seed)
    found = [[one] if succeeded(item, one) else [] for item, one in zip(items, played, strict=True)]
    if not any(found):
        faults = sorted({one.fault for one in played if one.fault})
        said = f" ({faults[0]})" if faults else ""
        raise DataError(f"{where}, `demonstrations`: the expert succeeds in 0 of {len(items)} episodes{said}")
    return tuple(map(_with, items, found))


def succeeded(item: Item, episode: Episode) -> bool:
    """True if an episode is imitated."""
    return reward_of(item.prompt.environment, episode) >= SUCCESS


def _with(item: Item, episodes: Sequence[Episode]) -> Item:
    text = text_of(episodes[0], reward_of(item.prompt.environment, episodes[0])) if episodes else ""
    return replace(item, demonstration=text, columns={"episodes": tuple(episodes)})
