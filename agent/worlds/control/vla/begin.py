"""Begins a run with a VLA: a checkpoint, and the same again as the base."""

import json
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from perdure.agent.seeds import seeded
from perdure.agent.weights import digest, frozen
from perdure.agent.worlds.control.begin import Begun
from perdure.agent.worlds.control.pretrain import ControlBase, identity, weights_of
from perdure.agent.worlds.control.vla.actor import VlaActor
from perdure.agent.worlds.control.vla.loading import load_vla
from perdure.agent.worlds.control.vla.model import LocalModel, TokenModel
from perdure.agent.worlds.control.vla.policy import VlaPolicy
from perdure.agent.worlds.control.vla.remote import Remote, WorkerModel
from perdure.agent.worlds.control.vla.worker_policy import WorkerPolicy
from perdure.agent.worlds.devices import choose_threads, device_of
from perdure.budget.errors import ConfigError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.known import environment_of
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.tasks import Gymnasium
from perdure.curriculum.worlds.control.token_actions import TokenActions, token_actions
from perdure.curriculum.worlds.control.vla import TokenPolicy, Vla, Worker

RECIPE = ("prompt", "append_token", "action_tokens", "unnorm_key", "dtype")
"""Settings that, beside the weights, make the base what it is."""


def begin_vla(curriculum: Curriculum, model: ControlModel) -> Begun:
    """A VLA, with LoRA an adapter over it; its base is the same without the adapter, or a frozen copy.

    Raises:
        ModelError: as `load_vla`.
        ConfigError: its actions do not fit the environments.
    """
    config = model.policy
    if isinstance(config, Worker):
        return _begin_worker(curriculum, model, config)
    assert isinstance(config, Vla), "the only other policy of tokens"
    device = device_of(model.device, auto="cuda" if torch.cuda.is_available() else "cpu")
    actions = common_actions(curriculum, model, config)
    with seeded(int(model.drawn_from(curriculum.seed) or 0)):
        network, processor = load_vla(config, device)
    choose_threads(model.threads, network)
    policy = VlaPolicy(LocalModel(network, processor, config.prompt), actions, _statistics(config))
    policy.meaning = meaning_of(config, actions)
    if config.lora is not None:
        base = LocalModel(network, processor, config.prompt, base=True)
        name = base_id(curriculum, model, actions, policy.frozen_digest)
        return Begun(policy, _held(base, actions), name, device, weights_of(network))
    base = LocalModel(deepcopy(network).requires_grad_(False), processor, config.prompt)
    name = base_id(curriculum, model, actions, digest(frozen(base.network)))
    return Begun(policy, _held(base, actions), name, device)


def _begin_worker(curriculum: Curriculum, model: ControlModel, config: Worker) -> Begun:
    """A VLA in a worker; its base is the same without the adapter."""
    actions = common_actions(curriculum, model, config)
    remote = Remote(
        config,
        dtype="bfloat16" if config.dtype == "auto" else config.dtype,
        device=model.device,
        threads=model.threads if isinstance(model.threads, int) else 0,
        seed=int(model.drawn_from(curriculum.seed) or 0) % 2**63,
    )
    base = _held(WorkerModel(remote, base=True), actions)
    name, fresh = base_id(curriculum, model, actions, remote.frozen), weights_of(remote.mirror)
    policy = WorkerPolicy(remote, actions)
    policy.meaning = meaning_of(config, actions)
    return Begun(policy, base, name, torch.device("cpu"), fresh)


def _held(model: TokenModel, actions: TokenActions) -> ControlBase:
    return ControlBase(VlaActor(model, len(actions.sizes)), actions)


def common_actions(curriculum: Curriculum, model: ControlModel, config: TokenPolicy) -> TokenActions:
    """The actions of all stages.

    Raises:
        ConfigError: they differ, or are held for another number of steps.
    """
    found: list[TokenActions] = []
    held: set[int] = set()
    for stage in curriculum.stages:
        assert isinstance(stage.task, Gymnasium), "the schema gives the control world its own tasks"
        environment = environment_of(stage.task)
        space = simulator_of(environment).action_space
        found.append(token_actions(config, model.bins, space, f"stage {stage.name!r}: {environment.title}"))
        held.add(environment.action_repeat)
        if len(held) > 1:
            raise ConfigError(
                f"stage {stage.name!r} holds an action for {environment.action_repeat} steps, and the stages before it "
                "for another number, on which KL depends; give all tasks of a curriculum the same `action_repeat`"
            )
        if not found[-1].stands_for_the_same(found[0]):
            raise ConfigError(
                f"stage {stage.name!r}: a token stands for other actions than in stage {curriculum.stages[0].name!r}, "
                "since the environments have other bounds; rescale one (`wrappers`), or give the checkpoint statistics"
            )
    return found[0]


def base_id(curriculum: Curriculum, model: ControlModel, actions: TokenActions, weights: str) -> str:
    """The identity of a base: its weights, the settings that give them a meaning, and the actions of its tokens."""
    first = curriculum.stages[0].task
    assert isinstance(first, Gymnasium), "the schema gives the control world its own tasks"
    return identity([weights, *_meaning(model.policy, actions)], actions, model.bins, first.action_repeat)


def _meaning(config: Any, actions: TokenActions) -> list[Any]:
    """What the weights answer to, and what their answers stand for."""
    assert actions.values is not None, "token actions have values"
    return [{name: getattr(config, name, None) for name in RECIPE}, [actions.tokens.tolist(), actions.values.tolist()]]


def meaning_of(config: TokenPolicy, actions: TokenActions) -> str:
    """See `ControlPolicy.meaning`."""
    return sha256(json.dumps(_meaning(config, actions), sort_keys=True).encode()).hexdigest()


def _statistics(config: TokenPolicy) -> str | None:
    file = Path(config.model_name_or_path) / "dataset_statistics.json"
    return file.read_text(encoding="utf-8") if file.is_file() else None
