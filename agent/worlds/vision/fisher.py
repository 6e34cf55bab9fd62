"""The diagonal Fisher information of a base. Axes: N images, C classes, H units."""

import torch
from torch import Tensor

from perdure.agent.worlds.vision.mlp import Params, depth


@torch.no_grad()
def diagonal_fisher(params: Params, inputs_NF: Tensor) -> Params:
    """`mean_n sum_y p(y|x_n) (d log p(y|x_n) / d theta)^2` for every weight, exact over the labels y.

    The squared gradient of one image in a weight of a layer is its input squared times its back-propagated error
    squared, so the mean over images is one matrix product a label and layer (Kirkpatrick et al. 2017 use the same
    diagonal; exact over labels as in Kunstner et al. 2019, and not the "empirical" Fisher).
    """
    units, p_NC = _forward(params, inputs_NF)
    fisher = {name: torch.zeros_like(tensor) for name, tensor in params.items()}
    for label in range(p_NC.shape[1]):
        error_NH = -p_NC
        error_NH[:, label] += 1
        weight_N1 = p_NC[:, label : label + 1] / len(inputs_NF)
        for layer in reversed(range(depth(params))):
            squared_NH = error_NH.square() * weight_N1
            fisher[f"{layer}.weight"] += units[layer].square().T @ squared_NH
            fisher[f"{layer}.bias"] += squared_NH.sum(0)
            error_NH = (error_NH @ params[f"{layer}.weight"].T) * (units[layer] > 0)
    return fisher


def _forward(params: Params, inputs_NF: Tensor) -> tuple[list[Tensor], Tensor]:
    """The input of each layer, and the probabilities that the last one gives."""
    units, last = [inputs_NF], depth(params) - 1
    for layer in range(last):
        units.append(torch.relu(units[-1] @ params[f"{layer}.weight"] + params[f"{layer}.bias"]))
    return units, (units[-1] @ params[f"{last}.weight"] + params[f"{last}.bias"]).softmax(-1)
