"""A multi-layer perceptron as pure functions of its parameters, and stacks of many of them.

Axes: M models, B images, F features in, C classes, H units of a layer. A model is a dictionary `0.weight` (F, H),
`0.bias` (H), `1.weight`, … ; a stack has the same names with a leading axis M. `torch.func.vmap` lifts the one forward
pass to a stack: each layer is then one batched matrix product, whose slices do not depend on how many there are.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

Params = dict[str, Tensor]


def new_params(sizes: Sequence[int], generator: torch.Generator) -> Params:
    """Fresh parameters of the layers `sizes[0] → … → sizes[-1]`.

    Weights and biases are uniform within 1/sqrt(fan in), which is how torch initialises `nn.Linear`.
    """
    params: Params = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        bound = 1 / math.sqrt(fan_in)
        params[f"{layer}.weight"] = (torch.rand(fan_in, fan_out, generator=generator) * 2 - 1) * bound
        params[f"{layer}.bias"] = (torch.rand(fan_out, generator=generator) * 2 - 1) * bound
    return params


def hidden(params: Params, inputs_BF: Tensor) -> Tensor:
    """The last hidden layer, after its ReLU: shape (B, H)."""
    units_BH = inputs_BF
    for layer in range(depth(params) - 1):
        units_BH = torch.relu(torch.addmm(params[f"{layer}.bias"], units_BH, params[f"{layer}.weight"]))
    return units_BH


def forward(params: Params, inputs_BF: Tensor) -> Tensor:
    """Logits of one model: shape (B, C)."""
    return head(params, hidden(params, inputs_BF))


def head(params: Params, units_BH: Tensor) -> Tensor:
    """Logits of one model from its last hidden layer: shape (B, C)."""
    last = depth(params) - 1
    return torch.addmm(params[f"{last}.bias"], units_BH, params[f"{last}.weight"])


def depth(params: Params) -> int:
    """The number of layers."""
    return len(params) // 2


stacked_forward = torch.func.vmap(forward)
"""Logits of M models on inputs of their own: (M, B, F) to (M, B, C)."""

shared_forward = torch.func.vmap(forward, in_dims=(0, None))
"""Logits of M models on the same inputs: (B, F) to (M, B, C)."""

shared_hidden = torch.func.vmap(hidden, in_dims=(0, None))
"""Last hidden layers of M models on the same inputs: (B, F) to (M, B, H)."""

stacked_head = torch.func.vmap(head)
"""Logits of M models from their last hidden layers: (M, B, H) to (M, B, C)."""


def stack(models: Sequence[Params]) -> Params:
    """M models of one shape as one stack, copied."""
    return {name: torch.stack([model[name] for model in models]) for name in models[0]}


def member(stacked: Params, index: int) -> Params:
    """One model of a stack; its tensors share the stack's memory."""
    return {name: tensor[index] for name, tensor in stacked.items()}


def matrices(params: Params) -> Params:
    """The weight matrices of a model or a stack, without the biases."""
    return {name: tensor for name, tensor in params.items() if name.endswith("weight")}
