"""The probability that a VLA gives to tokens that are no action, on the base's episodes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from perdure.agent.worlds.control.base_states import States
from perdure.budget.files import atomic_path
from perdure.curriculum.worlds.control.token_actions import TokenActions

FILE = "outside_action_tokens.json"


def outside(log_NDV: Tensor, action_tokens: Sequence[int]) -> Tensor:
    """The probability of tokens that are no action, of each decision and dimension: (N, D)."""
    inside = torch.zeros(log_NDV.shape[-1], dtype=torch.bool, device=log_NDV.device)
    inside[list(action_tokens)] = True
    return log_NDV.exp()[..., ~inside].sum(-1)


def write_outside(groups: Mapping[str, States], actions: TokenActions, folder: Path) -> None:
    """Write that of the base: the mean over decisions of each dimension, and the largest, a group each."""
    found = {}
    for name, states in groups.items():
        mass_SD = outside(states.base_log_SDB, actions.tokens.tolist())
        found[name] = {"mean": mass_SD.mean(0).tolist(), "largest": float(mass_SD.max())}
    with atomic_path(folder / FILE) as partial:
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
