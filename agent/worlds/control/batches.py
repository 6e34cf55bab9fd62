"""The starts of each batch, and the decisions that an objective learns from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import Counts
from perdure.agent.worlds.control.actor import Actor
from perdure.agent.worlds.control.inputs import Inputs, joined
from perdure.agent.worlds.control.losses import log_of
from perdure.agent.worlds.control.policy import Played
from perdure.agent.worlds.replayed import replayed_items
from perdure.budget.errors import DataError
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.control.episodes import Episode


@dataclass(frozen=True)
class Batch:
    """N decisions, which may be none.

    Attributes:
        old_log_N: log-probabilities of the actions under the policy that played; once the batch is learned from, by the
            pass of its first step (`acted_by`).
        weights_N: advantages or other weights, over the number of episodes and the most decisions of one.
        shares_N: 1 over the same, so that a sum of values with these is a mean.
        reward: the mean reward of the episodes; `None`: none were played.
        reward_std: their deviation (n - 1); `None` for fewer than two.
        mean_length: decisions of an episode.
        base_log_NDB: the base's log-probabilities of every value, where something compares with them.
    """

    inputs: Inputs
    actions_ND: Tensor
    old_log_N: Tensor | None = None
    weights_N: Tensor | None = None
    shares_N: Tensor | None = None
    reward: float | None = None
    reward_std: float | None = None
    mean_length: float | None = None
    base_log_NDB: Tensor | None = None

    def __len__(self) -> int:
        return len(self.actions_ND)

    def acted_by(self, log_NDB: Tensor) -> "Batch":
        """The batch with old log-probabilities from a pass over its decisions by the policy that played them.

        A ratio to them is exactly 1 as long as the policy is that one. What a VLA acted by, a token at a time, differs
        from a whole pass by rounding.
        """
        if self.old_log_N is None:
            return self
        played = len(self.old_log_N)
        return replace(self, old_log_N=log_of(log_NDB[:played].detach(), self.actions_ND[:played]))

    def first(self, count: int) -> "Batch":
        """The first decisions, all of which have weights."""
        base_log_NDB = None if self.base_log_NDB is None else self.base_log_NDB[:count]
        return replace(
            self, inputs=self.inputs[:count], actions_ND=self.actions_ND[:count], base_log_NDB=base_log_NDB
        )  # fmt: skip


class Dealer:
    """Deals items in an order drawn at the seed, and in another one where too few are left of it."""

    def __init__(self, items: Sequence[Item], seed: int, label: str) -> None:
        self._items, self._seed, self._label = tuple(items), seed, label
        self._turn = -1
        self._left: list[int] = []

    def deal(self, count: int) -> list[Item]:
        """The next `count` items, at most all there are."""
        if len(self._left) < count:
            self._turn += 1
            rng = np.random.default_rng(derive(self._seed, self._label, self._turn))
            self._left = rng.permutation(len(self._items)).tolist()
        dealt, self._left = self._left[:count], self._left[count:]
        return [self._items[index] for index in dealt]


def deals(
    items: Sequence[Item], count: int, seed: int, earlier: Sequence[Item] = (), share: float = 0.0
) -> Iterator[list[Item]]:
    """The items of each batch, without end: `count` of them, a `share` of which are of earlier tasks."""
    own, old = Dealer(items, seed, "order"), Dealer(earlier, seed, "replayed")
    number = 0
    while True:
        replayed = min(replayed_items(number, share, count), len(earlier))
        yield own.deal(count - replayed) + (old.deal(replayed) if replayed else [])
        number += 1


def demonstrations_of(item: Item) -> tuple[Episode, ...]:
    """The successful episodes that an item is demonstrated by."""
    found: tuple[Episode, ...] = item.columns.get("episodes", ())
    return found


def failed_demonstrations(items: Sequence[Item]) -> Counts:
    """How many demonstrations failed, of how many, under the name of the notice; nothing where none did."""
    failed = sum(item.columns.get("failed", 0) for item in items)
    return {"failed": (failed, failed + sum(len(demonstrations_of(item)) for item in items))} if failed else {}


def imitated(actor: Actor, episodes: Sequence[Episode]) -> Batch:
    """The decisions of demonstrated episodes."""
    inputs = actor.encode([one for episode in episodes for one in episode.observations])
    return Batch(inputs, _actions(episodes).to(inputs.vector.device))


def practised(played: Sequence[Played], weights_E: Tensor) -> Batch:
    """The decisions of played episodes, each with its episode's weight; those that never began have none.

    Raises:
        DataError: none came to a first decision.
    """
    if not any(len(one.episode.actions) for one in played):
        raise DataError(f"none of {len(played)} episodes came to a first decision: {played[0].episode.fault}")
    inputs = joined([one.inputs for one in played if len(one.episode.actions)])
    device, rewards = inputs.vector.device, [one.reward for one in played]
    lengths_E = torch.tensor([len(one.episode.actions) for one in played])
    shares_E = torch.tensor([1 / (len(played) * one.start.environment.horizon) for one in played])
    return Batch(
        inputs,
        _actions([one.episode for one in played]).to(device),
        torch.cat([one.log_T for one in played]),
        (weights_E * shares_E).repeat_interleave(lengths_E).to(device),
        shares_E.repeat_interleave(lengths_E).to(device),
        reward=float(np.mean(rewards)),
        reward_std=float(np.std(rewards, ddof=1)) if len(rewards) > 1 else None,
        mean_length=float(lengths_E.float().mean()),
    )


def _actions(episodes: Sequence[Episode]) -> Tensor:
    """All actions: (N, D)."""
    parts = [torch.from_numpy(episode.actions) for episode in episodes]
    return torch.cat(parts) if parts else torch.zeros(0, 0, dtype=torch.int64)


def side_by_side(played: Batch, shown: Batch) -> Batch:
    """The decisions of both, those of `played` first, which alone have weights."""
    parts = [one for one in (played, shown) if len(one)] or [played]
    return replace(
        played,
        inputs=joined([one.inputs for one in parts]),
        actions_ND=torch.cat([one.actions_ND for one in parts]),
    )
