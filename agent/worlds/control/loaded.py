"""Loads a saved policy as the base (`model.path`), as `ControlPolicy.save` wrote it."""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from perdure.agent.weights import digest, read_tensors
from perdure.agent.worlds.control.actor import IndependentActor
from perdure.agent.worlds.control.pretrain import ControlBase, identity, new_network
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.control.actions import actions_of
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.interface import Interface
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.saved import WEIGHTS, read_saved
from perdure.curriculum.worlds.control.starts import Environment


def loaded(config: ControlModel, environment: Environment, device: torch.device) -> ControlBase:
    """The base of `model.path`, for environments like this one, which fits its interface.

    Raises:
        ConfigError: the folder holds no policy of this model.
        ModelError: weights that are damaged, missing, foreign, of another shape, or not finite.
    """
    saved = read_saved(config)
    actions = actions_of(simulator_of(environment).action_space, config.bins, environment.title)
    network = new_network(config, blank(saved.interface), actions)
    fill(network, saved.folder / WEIGHTS)
    return ControlBase(IndependentActor(network, device), actions)


def blank(interface: Interface) -> Observation:
    """An observation of the shapes of an interface, of zeros."""
    image = None if interface.image is None else np.zeros(interface.image, np.float32)
    return Observation(np.zeros(interface.vector, np.float32), image)


@torch.no_grad()
def fill(network: nn.Module, file: Path) -> None:
    """Copy the weights of a file into a network.

    Raises:
        ModelError: they are not exactly the network's, or not finite.
    """
    try:
        found = read_tensors(file)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"model.path: {file} is damaged: {error}") from None
    wanted = dict(network.named_parameters())
    faults = [
        *(f"{name} is missing" for name in wanted.keys() - found.keys()),
        *(f"{name} is not of this network" for name in found.keys() - wanted.keys()),
        *(fault for name in wanted.keys() & found.keys() if (fault := _fault(name, found[name], wanted[name]))),
    ]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ModelError(f"model.path: {file}: {min(faults)}{more}; give the folder of a policy that a run saved")
    for name, tensor in wanted.items():
        tensor.copy_(found[name])


def _fault(name: str, found: Tensor, wanted: Tensor) -> str | None:
    if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
        kinds = [f"{str(one.dtype).removeprefix('torch.')} {tuple(one.shape)}" for one in (found, wanted)]
        return f"{name} is {kinds[0]}, not {kinds[1]}"
    return None if found.isfinite().all() else f"{name} has a number that is not finite"


def loaded_id(config: ControlModel, base: ControlBase, action_repeat: int) -> str:
    """The identity of a base that was loaded: its weights, its bins, and for how long actions are held."""
    weights = digest({name: tensor.detach() for name, tensor in base.actor.network.named_parameters()})
    return identity([weights, config.bins], base.actions, config.bins, action_repeat)
