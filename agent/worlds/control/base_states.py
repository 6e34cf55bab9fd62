"""The base's episodes, on whose decisions the KL is measured: what the base saw, did, and how likely each value was.

They are played once, at temperature 1, and kept; the base's side of every divergence is then known. Axes as in
`actor.py`; S decisions of all episodes of a group, one behind the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from perdure.agent.weights import read_tensors, write_tensors
from perdure.agent.worlds.control.actor import Actor, in_chunks
from perdure.agent.worlds.control.inputs import Inputs, joined
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.budget.divergence import divergences
from perdure.budget.errors import DataError
from perdure.budget.estimate import Group
from perdure.budget.monitor import Measurement
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.starts import Start


@dataclass(frozen=True)
class States:
    """The decisions of a group of episodes; `lengths` are those of the episodes, in decisions."""

    inputs: Inputs
    actions_SD: Tensor
    base_log_SDB: Tensor
    lengths: tuple[int, ...]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """As a file keeps them."""
        return {
            f"{name}.vector": self.inputs.vector,
            f"{name}.image": self.inputs.image,
            f"{name}.words": self.inputs.words,
            f"{name}.actions": self.actions_SD,
            f"{name}.base_log": self.base_log_SDB,
            f"{name}.lengths": torch.tensor(self.lengths),
        }

    def take(self, episodes: Sequence[int]) -> "States":
        """Some of the episodes, in this order."""
        whole = torch.arange(len(self.actions_SD), device=self.actions_SD.device)
        parts = torch.split(whole, list(self.lengths))
        rows = torch.cat([parts[one] for one in episodes])
        lengths = tuple(self.lengths[one] for one in episodes)
        return States(self.inputs[rows], self.actions_SD[rows], self.base_log_SDB[rows], lengths)


def from_tensors(kept: Mapping[str, Tensor], name: str, device: torch.device) -> States:
    """The states of which `States.tensors` gave these."""
    found = {part: kept[f"{name}.{part}"].to(device) for part in ("vector", "image", "words", "actions", "base_log")}
    inputs = Inputs(found["vector"], found["image"], found["words"])
    return States(inputs, found["actions"], found["base_log"], tuple(kept[f"{name}.lengths"].tolist()))


def played_states(policy: ControlPolicy, starts: Sequence[Start], *, seed: int, name: str) -> States:
    """One episode of the policy, which is the base now, from each start.

    Raises:
        DataError: no episode came to a first decision.
    """
    played = [one for one in policy.play(starts, temperature=1.0, seed=seed) if len(one.episode.actions)]
    if not played:
        raise DataError(f"the base's episodes for the KL ({name}): none of {len(starts)} came to a first decision")
    inputs = joined([one.inputs for one in played])
    actions = torch.cat([torch.from_numpy(one.episode.actions) for one in played]).to(inputs.vector.device)
    log_SDB = in_chunks(policy.actor.log_probabilities, inputs, actions)
    return States(inputs, actions, log_SDB, tuple(len(one.episode.actions) for one in played))


def shown_states(actor: Actor, episodes: Sequence[Episode]) -> States:
    """Episodes of somebody else, such as those that the base imitated, with the distributions of the actor."""
    kept = [one for one in episodes if len(one.actions)]
    inputs = actor.encode([seen for one in kept for seen in one.observations])
    actions_SD = torch.cat([torch.from_numpy(one.actions) for one in kept]).to(inputs.vector.device)
    log_SDB = in_chunks(actor.log_probabilities, inputs, actions_SD)
    return States(inputs, actions_SD, log_SDB, tuple(len(one.actions) for one in kept))


def joined_states(parts: Sequence[States]) -> States:
    """Episodes one behind the other."""
    return States(
        joined([one.inputs for one in parts]),
        torch.cat([one.actions_SD for one in parts]),
        torch.cat([one.base_log_SDB for one in parts]),
        tuple(length for one in parts for length in one.lengths),
    )


def write_states(groups: Mapping[str, States], file: Path) -> None:
    """Keep the groups, in order."""
    tensors: dict[str, Tensor] = {}
    for index, states in enumerate(groups.values()):
        tensors |= states.tensors(str(index))
    write_tensors(tensors, file)


def read_states(names: Sequence[str], file: Path, device: torch.device) -> dict[str, States]:
    """The groups that were kept, under their names, in the same order."""
    kept = read_tensors(file)
    return {name: from_tensors(kept, str(index), device) for index, name in enumerate(names)}


def measured(actor: Actor, groups: Sequence[States]) -> Measurement:
    """Divergences between the base and the policy, a group each.

    The KL of a decision is the sum over its dimensions, by the chain rule, in nats; the bounded distances of a decision
    are the means over its dimensions.
    """
    found = [_groups(actor, one) for one in groups]
    return Measurement(*(tuple(column) for column in zip(*found, strict=True)))


def _groups(actor: Actor, states: States) -> tuple[Group, ...]:
    log_SDB = in_chunks(actor.log_probabilities, states.inputs, states.actions_SD)
    dimensions, values = log_SDB.shape[1:]
    each = divergences(states.base_log_SDB.reshape(-1, values), log_SDB.reshape(-1, values))
    summed = (each.kl_base_to_policy_N, each.kl_policy_to_base_N)
    bounded = (each.total_variation_N, each.l2_distributions_N, each.jensen_shannon_N, each.hellinger_N)
    columns = [one.double().view(-1, dimensions).sum(-1) for one in summed]
    columns += [one.double().view(-1, dimensions).mean(-1) for one in bounded]
    return tuple(_group(one, states.lengths) for one in columns)


def _group(values_S: Tensor, lengths: tuple[int, ...]) -> Group:
    return Group(tuple(float(part.sum()) for part in torch.split(values_S, list(lengths))), lengths)
