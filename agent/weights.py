"""Hashes, saves, restores and interpolates the weights of a model. Safetensors only."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from perdure.budget.files import atomic_path


def trainable(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that updates may change, tied ones once; with LoRA the adapter's alone."""
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


def frozen(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that no update changes."""
    return {name: parameter.detach() for name, parameter in model.named_parameters() if not parameter.requires_grad}


def digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of names."""
    total = sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.flatten().view(torch.uint8).cpu().numpy().data)
    return total.hexdigest()


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write one safetensors file atomically."""
    with atomic_path(path) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata=metadata)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, on the CPU."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)


@torch.no_grad()
def restore_weights(model: nn.Module, path: Path) -> None:
    """Copy the tensors of a snapshot into the model's parameters of the same names."""
    parameters = dict(model.named_parameters())
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            parameters[name].copy_(file.get_tensor(name))


@torch.no_grad()
def blend(parameters: Mapping[str, Tensor], start: Path, end: Path, share: float) -> None:
    """Set the parameters, in place, to `(1 - share) · start + share · end` of two snapshots.

    Exactly `start` at 0, `end` at 1, and both if they agree; else computed in float64, so that nothing overflows, and
    rounded to the parameter's type.

    Raises:
        ValueError: `share` is not within 0 and 1, or the snapshots hold different tensors.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share must be within 0 and 1, not {share}")
    with safe_open(start, framework="pt") as first, safe_open(end, framework="pt") as last:
        names = set(first.keys())
        if names != set(last.keys()):
            raise ValueError(f"{start} and {end} are snapshots of different parameters")
        for name in sorted(names):
            if share in (0, 1):
                parameters[name].copy_((last if share else first).get_tensor(name))
            else:
                a, b = first.get_tensor(name).double(), last.get_tensor(name).double()
                parameters[name].copy_(torch.where(a == b, a, (1 - share) * a + share * b))
