"""The base of the control world: behaviour cloning of experts on what must be kept, at the base's seed."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perdure.agent.seeds import derive, seeded
from perdure.agent.weights import trainable
from perdure.agent.worlds.control.actor import Actor, IndependentActor
from perdure.agent.worlds.control.batches import demonstrations_of, imitated
from perdure.agent.worlds.control.losses import cross_entropy
from perdure.agent.worlds.control.networks.mlp import MlpNetwork
from perdure.agent.worlds.control.networks.transformer import TransformerNetwork
from perdure.budget.errors import DataError
from perdure.curriculum.task import Item, Task, question
from perdure.curriculum.worlds.control.actions import Actions, actions_of
from perdure.curriculum.worlds.control.demonstrations.expert import expert_episodes
from perdure.curriculum.worlds.control.demonstrations.recorded import recorded_episodes, stamp_of
from perdure.curriculum.worlds.control.draw import known_starts
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.known import environment_of
from perdure.curriculum.worlds.control.model import ControlModel, Known, Mlp, Pretrain, Transformer
from perdure.curriculum.worlds.control.rewards import SUCCESS, reward_of
from perdure.curriculum.worlds.control.starts import Environment, Start
from perdure.curriculum.worlds.control.tasks import Expert, Recorded


@dataclass(frozen=True)
class ControlBase:
    """A base: its actor, its actions, and what it imitated, an episode an item; recorded episodes have no start.

    `imitated` counts the successes of each task: `drawer-open-v3: 40 of 41 episodes`. `spare` are training starts that
    the monitor does not read, from which a base that was loaded plays what it has to be held to.
    """

    actor: Actor
    actions: Actions
    items: tuple[Item, ...] = ()
    imitated: tuple[str, ...] = ()
    spare: tuple[Start, ...] = ()

    def spare_of(self, tasks: Sequence[Task]) -> list[Start]:
        """The spare starts that are training starts of these tasks."""
        own = {question(item.prompt) for task in tasks for item in task.train}
        return [start for start in self.spare if question(start) in own]

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The episodes that it imitated."""
        return tuple(one for item in self.items for one in demonstrations_of(item))


@lru_cache(maxsize=4)
def pretrained(config_json: str, recordings: tuple[str, ...], seed: int, threads: int, device: str) -> ControlBase:
    """The base of one seed; the same for the same configuration, `recordings` and seed.

    Raises:
        ConfigError, DataError: as the tasks that it imitates; too few successful episodes.
    """
    config = ControlModel.model_validate_json(config_json)
    assert config.pretrain is not None, "`path` is loaded elsewhere"
    actions = common_actions(config)
    found = [known_items(known, actions, seed) for known in config.pretrain.tasks]
    items = tuple(item for one, _ in found for item in one)
    episodes = [one for item in items for one in demonstrations_of(item)]
    with seeded(derive(seed, "fresh weights")):
        network = new_network(config, episodes[0].observations[0], actions)
    actor = IndependentActor(network, torch.device(device))
    clone(actor, episodes, config.pretrain, seed)
    return ControlBase(actor, actions, items, tuple(counted for _, counted in found))


def common_actions(config: ControlModel) -> Actions:
    """The actions of the tasks that the base imitates, which are the same in all of them."""
    assert config.pretrain is not None, "only a base that is made has tasks"
    environments = [environment_of(known.task) for known in config.pretrain.tasks]
    return actions_of(simulator_of(environments[0]).action_space, config.bins, environments[0].title)


def known_items(known: Known, actions: Actions, seed: int) -> tuple[list[Item], str]:
    """The first successful episodes of a task's expert or recording, each with its start; and how many succeeded.

    Raises:
        DataError: there are fewer than are asked for.
    """
    environment = environment_of(known.task)
    if isinstance(known.task.demonstrations, Recorded):
        return _recorded(known, known.task.demonstrations, environment, actions)
    assert isinstance(known.task.demonstrations, Expert)
    found: list[Item] = []
    starts = list(known_starts(known, environment))
    for tried, start in enumerate(starts, 1):
        (episode,) = expert_episodes(known.task.demonstrations, [start], actions, seed=derive(seed, "known"))
        if reward_of(environment, episode) >= SUCCESS:
            found.append(Item(start, columns={"episodes": (episode,)}))
        if len(found) == known.episodes:
            return found, f"{environment.title}: {len(found)} of {tried} episodes"
    raise DataError(
        f"model.pretrain: the expert of {environment.title} succeeds in {len(found)} of {len(starts)} episodes, and "
        f"{known.episodes} are asked for; ask for fewer `episodes`, or look at the expert, `horizon` and `success`"
    )


def _recorded(known: Known, config: Recorded, environment: Environment, actions: Actions) -> tuple[list[Item], str]:
    read = recorded_episodes(config, environment, actions, f"model.pretrain ({environment.title})")
    found = [Item(None, columns={"episodes": (one.episode,)}) for one in read if one.succeeded]
    if len(found) < known.episodes:
        raise DataError(
            f"model.pretrain: the recording of {environment.title} has {len(found)} successes in {len(read)} episodes, "
            f"and {known.episodes} are asked for"
        )
    return found[: known.episodes], f"{environment.title}: {len(found)} of {len(read)} recorded episodes"


def recordings(config: ControlModel) -> list[str]:
    """SHA-256 of each recording that the base imitates."""
    tasks = [] if config.pretrain is None else config.pretrain.tasks
    found = [one.task.demonstrations for one in tasks]
    return [stamp_of(one) for one in found if isinstance(one, Recorded)]


def new_network(config: ControlModel, seen: Observation, actions: Actions) -> nn.Module:
    """A network with fresh weights from torch's generator, for observations like this one."""
    features, policy = len(seen.vector), config.policy
    image = (0, 0, 0) if seen.image is None else seen.image.shape
    if isinstance(policy, Mlp):
        return MlpNetwork(features + math.prod(image), policy.hidden_sizes, actions.sizes)
    assert isinstance(policy, Transformer), "a VLA's network comes with its checkpoint"
    return TransformerNetwork(
        features,
        image,
        actions.sizes,
        width=policy.hidden_size,
        layers=policy.num_hidden_layers,
        heads=policy.num_attention_heads,
        patch=policy.patch_size,
    )


def clone(actor: Actor, episodes: list[Episode], config: Pretrain, seed: int) -> None:
    """Behaviour cloning: batches of decisions, drawn with replacement, by AdamW with half a cosine."""
    batch = imitated(actor, episodes)
    optimizer = torch.optim.AdamW(actor.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    rng = np.random.default_rng(derive(seed, "clone"))
    device = batch.actions_ND.device
    for step in range(config.max_steps):
        rows = torch.from_numpy(rng.integers(0, len(batch.inputs), config.per_device_train_batch_size)).to(device)
        loss = cross_entropy(
            actor.log_probabilities(batch.inputs[rows], batch.actions_ND[rows]), batch.actions_ND[rows]
        )
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / config.max_steps))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def base_id(config: ControlModel, action_repeat: int) -> str:
    """The identity of a base that is made: the configuration of its model, whatever the seed."""
    kept = config.model_dump(mode="json", exclude={"seed", "device", "threads"})
    for known in kept["pretrain"]["tasks"]:
        if "path" in (known["task"]["demonstrations"] or {}):
            known["task"]["demonstrations"] |= {"path": stamp_of(Recorded(**known["task"]["demonstrations"]))}
    return identity(kept, common_actions(config), config.bins, action_repeat)


def identity(kept: Any, actions: Actions, bins: int, action_repeat: int) -> str:
    """A hash of what makes a base and of the hold of its actions (see `perdure.budget.base_id`).

    Bins and hold stand before it, since KL depends on them; there are no bins where actions are discrete.
    """
    settings = f"{'' if actions.values is None else f'bins {bins}, '}action_repeat {action_repeat}"
    return f"{settings}: {sha256(json.dumps([kept, action_repeat], sort_keys=True).encode()).hexdigest()}"


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights that are trained."""
    return {name: tensor.clone() for name, tensor in trainable(network).items()}
