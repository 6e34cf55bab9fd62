"""Hashes, saves, restores and interpolates the weights of a model. Safetensors only."""

import re
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


def trained(model: nn.Module) -> dict[str, Tensor]:
    """As `trainable`, by the names that transformers and peft give them in their files."""
    tensors = trainable(model)
    if hasattr(model, "peft_config"):
        return {re.sub(r"\.default(?=\.|$)", "", name): tensor for name, tensor in tensors.items()}
    return tensors


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


FORMAT = {"format": "pt"}
"""The metadata of a file of weights, as transformers and peft write it."""


def save_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write weights to one file, with the bytes that transformers and peft write; neither atomically nor synced."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=FORMAT)


def write_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write weights to one file atomically, with the bytes of `save_weights`."""
    with atomic_path(path) as partial:
        save_weights(tensors, partial)


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write one safetensors file atomically."""
    with atomic_path(path) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata=metadata)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, on the CPU."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)


@torch.no_grad()
def restore_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Copy the tensors of a file into those of the same names, in place."""
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            weights[name].copy_(file.get_tensor(name))


def holds(path: Path, weights: Mapping[str, Tensor]) -> bool:
    """True if a file holds these weights, bit for bit, and nothing else. One tensor at a time is in memory."""
    with safe_open(path, framework="pt") as file:
        if set(file.keys()) != set(weights):
            return False
        return all(_same_bits(file.get_tensor(name), tensor) for name, tensor in weights.items())


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return torch.equal(*(tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other.cpu())))


class HostCopy:
    """A copy of weights in the memory of the host; its memory is used again by the next."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Copy these weights, of the same names and shapes as those before."""
        if not self.weights:
            self.weights = {name: torch.empty_like(tensor, device="cpu") for name, tensor in weights.items()}
        for name, tensor in weights.items():
            self.weights[name].copy_(tensor)

    @torch.no_grad()
    def put_back(self, weights: Mapping[str, Tensor]) -> None:
        """Copy what was taken into these weights, in place."""
        for name, tensor in self.weights.items():
            weights[name].copy_(tensor)


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
