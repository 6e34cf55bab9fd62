"""The starts of each step, and the decisions that an objective learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.control.actor import Actor
from perdure.agent.worlds.control.inputs import Inputs, joined
from perdure.agent.worlds.control.policy import Played
from perdure.budget.errors import DataError
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.control.episodes import Episode


@dataclass(frozen=True)
class Batch:
    """N decisions of one or several steps.

    Attributes:
        old_log_N: log-probabilities of the actions when they were sampled.
        advantages_N: of each decision, or its weight.
        episodes: how many episodes they are of.
        reward: the mean reward of the episodes; `None`: none were played.
    """

    inputs: Inputs
    actions_ND: Tensor
    old_log_N: Tensor | None = None
    advantages_N: Tensor | None = None
    episodes: int = 1
    reward: float | None = None


def dealt(items: Sequence[Item], count: int, seed: int, number: int) -> list[Item]:
    """The `number`-th deal of `count` items, from 0: each item once a pass, in an order of each pass's own."""
    per_pass = len(items) // count
    turn, place = divmod(number, per_pass)
    order = np.random.default_rng(derive(seed, "order", turn)).permutation(len(items))
    return [items[index] for index in order[place * count : (place + 1) * count].tolist()]


def demonstrations_of(item: Item) -> tuple[Episode, ...]:
    """The successful episodes that an item is demonstrated by."""
    found: tuple[Episode, ...] = item.columns.get("episodes", ())
    return found


def imitated(actor: Actor, episodes: Sequence[Episode]) -> Batch:
    """The decisions of demonstrated episodes."""
    observations = [one for episode in episodes for one in episode.observations]
    inputs = actor.encode(observations)
    actions_ND = torch.from_numpy(np.concatenate([episode.actions for episode in episodes]))
    return Batch(inputs, actions_ND.to(inputs.vector.device), episodes=len(episodes))


def practised(played: Sequence[Played], advantages_E: Tensor) -> Batch:
    """The decisions of played episodes, each with its episode's advantage; those that never began are left out.

    Raises:
        DataError: none came to a first decision.
    """
    kept = [(one, value) for one, value in zip(played, advantages_E, strict=True) if len(one.episode.actions)]
    if not kept:
        raise DataError(f"none of {len(played)} episodes came to a first decision: {played[0].episode.fault}")
    inputs = joined([one.inputs for one, _ in kept])
    device = inputs.vector.device
    return Batch(
        inputs,
        torch.cat([torch.from_numpy(one.episode.actions) for one, _ in kept]).to(device),
        torch.cat([one.log_T for one, _ in kept]),
        torch.cat([value.expand(len(one.log_T)) for one, value in kept]).to(device),
        len(played),
        float(np.mean([one.reward for one in played])),
    )
