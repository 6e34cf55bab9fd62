"""The other side of the stacked training: one network after another, as PyTorch's tutorials have it.

Nothing of perdure's training is imported here; a job gives the base's weights, the images and the labels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def network(weights: dict[str, Tensor]) -> nn.Sequential:
    """An `nn.Sequential` with the weights of a base, whose matrices are (in, out)."""
    layers: list[nn.Module] = []
    for index in range(len(weights) // 2):
        matrix = weights[f"{index}.weight"]
        linear = nn.Linear(*matrix.shape)
        with torch.no_grad():
            linear.weight.copy_(matrix.T)
            linear.bias.copy_(weights[f"{index}.bias"])
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train_one_by_one(
    weights: dict[str, Tensor], inputs_NF: Tensor, labels_N: Tensor, rates: Sequence[float], steps: int, batch: int
) -> None:
    """Train a network a learning rate by cross-entropy, AdamW and shuffled batches."""
    for rate in rates:
        model = network(weights)
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
        for step in range(steps):
            place = step % (len(inputs_NF) // batch)
            if place == 0:
                order_N = torch.randperm(len(inputs_NF))
            chosen_B = order_N[place * batch : (place + 1) * batch]
            loss = nn.functional.cross_entropy(model(inputs_NF[chosen_B]), labels_N[chosen_B])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
