"""The device that a curriculum names."""

import torch

from perdure.budget.errors import ModelError


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
