"""The device and the threads that a curriculum names."""

import os
from typing import Literal

import torch
from torch import nn

from perdure.budget.errors import ModelError

SMALL = 20_000_000
"""Parameters below which more threads slow a model down."""


def device_of(name: str, *, auto: str) -> torch.device:
    """The device of a name; `auto` stands for the one given.

    Raises:
        ModelError: not a device, or one that this machine or this build of torch lacks.
    """
    try:
        device = torch.device(auto if name == "auto" else name)
        torch.empty(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"model.device: {name!r} is not on this machine; use auto or cpu") from error
    return device


def has_bfloat16(device: torch.device) -> bool:
    """True for a GPU with instructions for bfloat16."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def choose_threads(threads: int | Literal["auto"], model: nn.Module) -> None:
    """Set torch's threads; `auto` is one for a small model, else one a core."""
    if threads == "auto":
        small = sum(one.numel() for one in model.parameters()) < SMALL
        threads = 1 if small else os.cpu_count() or 1
    torch.set_num_threads(threads)
