"""Attaches demonstrations to training starts."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from perdure.budget.errors import DataError
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.control.actions import Actions
from perdure.curriculum.worlds.control.demonstrations.expert import expert_episodes
from perdure.curriculum.worlds.control.demonstrations.recorded import Recollection, recorded_episodes, same_start
from perdure.curriculum.worlds.control.episodes import Episode, text_of
from perdure.curriculum.worlds.control.rewards import reward_of
from perdure.curriculum.worlds.control.tasks import Expert, Gymnasium


def demonstrated(
    config: Gymnasium,
    items: Sequence[Item],
    actions: Actions,
    owner: str,
    *,
    seed: int,
    examined: Collection[str] = (),
) -> tuple[tuple[Item, ...], int]:
    """The items with their demonstrations, and how many were left out since they begin where a held-out start does.

    `columns["episodes"]` has those of an item that succeeded, `columns["failed"]` the number of the others;
    `demonstration` is the text of the first, or empty where none succeeded. Recorded episodes are given to the items in
    turn. `examined` are held-out first observations (`recorded.same_start`).

    Raises:
        ConfigError, DataError: no expert or recording, or none of its episodes succeeds.
    """
    if config.demonstrations is None:
        return tuple(items), 0
    environment = items[0].prompt.environment
    where = f"{owner}, `demonstrations`"
    if isinstance(config.demonstrations, Expert):
        played = expert_episodes(config.demonstrations, [item.prompt for item in items], actions, seed=seed)
        found = [Recollection(one, reward_of(environment, one)) for one in played]
        who, left_out, look = "the expert", 0, "; look at the expert, `horizon` and `success`"
    else:
        read = recorded_episodes(config.demonstrations, environment, actions, where)
        found = [one for one in read if same_start(environment, one.episode.observations[0]) not in examined]
        who, left_out, look = "the recording", len(read) - len(found), ""
    if not any(one.succeeded for one in found):
        faults = sorted({one.episode.fault for one in found if one.episode.fault})
        more = f"; {left_out} more begin where a held-out start does" if left_out else ""
        said = f" ({faults[0]})" if faults else ""
        raise DataError(f"{where}: {who} succeeds in 0 of {len(found)} episodes{said}{more}{look}")
    return tuple(_with(item, found[index :: len(items)]) for index, item in enumerate(items)), left_out


def _with(item: Item, found: Sequence[Recollection]) -> Item:
    shown = [one for one in found if one.succeeded]
    episodes: tuple[Episode, ...] = tuple(one.episode for one in shown)
    text = text_of(shown[0].episode, shown[0].reward) if shown else ""
    return replace(item, demonstration=text, columns={"episodes": episodes, "failed": len(found) - len(episodes)})
