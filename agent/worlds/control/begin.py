"""Begins a run of the control world: the policy, and the base that it is held against."""

from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from perdure.agent.worlds.control.loaded import loaded, loaded_id
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.agent.worlds.control.pretrain import ControlBase, base_id, pretrained, recordings
from perdure.agent.worlds.devices import device_of
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.control.known import base_interface, environment_of
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.starts import Environment
from perdure.curriculum.worlds.control.tasks import Gymnasium


@dataclass(frozen=True)
class Begun:
    """A policy that is its base now.

    Attributes:
        base: its actor is never trained; the policy's own network with its adapter off, or a copy.
        fresh: the trained weights as they are now, where `base` is no copy of them.
    """

    policy: ControlPolicy
    base: ControlBase
    base_id: str
    device: torch.device
    fresh: dict[str, Tensor] | None = None


def begin(curriculum: Curriculum, model: ControlModel) -> Begun:
    """A policy whose base imitates experts, or was saved.

    Raises:
        ConfigError, DataError: as the tasks that it imitates.
        ModelError: the saved policy cannot be used.
    """
    device = device_of(model.device, auto="cpu")
    torch.set_num_threads(model.threads if isinstance(model.threads, int) else 1)
    first = curriculum.stages[0].task
    assert isinstance(first, Gymnasium), "the schema gives the control world its own tasks"
    made, interface = _begun(model, curriculum.seed, environment_of(first), device), base_interface(model)
    base = replace(made, actor=deepcopy(made.actor))
    base.actor.network.requires_grad_(False)
    about = {"model": model.model_dump(mode="json"), **(interface.to_json() if interface else {})}
    policy = ControlPolicy(deepcopy(made.actor), made.actions, about)
    repeat = first.action_repeat
    name = base_id(model, repeat) if model.path is None else loaded_id(model, base, repeat)
    return Begun(policy, base, name, device)


def _begun(model: ControlModel, seed: int, environment: Environment, device: torch.device) -> ControlBase:
    """The base, made or loaded."""
    if model.path is not None:
        return loaded(model, environment, device)
    drawn = int(model.drawn_from(seed) or 0)
    recorded = tuple(recordings(model))
    return pretrained(model.model_dump_json(), recorded, drawn, torch.get_num_threads(), str(device))
