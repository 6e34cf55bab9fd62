"""A multi-layer perceptron on vectors, which adds the words of the instruction to its first layer."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.networks.parts import Heads, Words


class MlpNetwork(nn.Module):
    """Layers with GELU between them. An image, if there is one, is flattened and stands behind the vector."""

    def __init__(self, features: int, hidden_sizes: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        self.words = Words(hidden_sizes[0])
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise([features, *hidden_sizes]))
        self.heads = Heads(hidden_sizes[-1], sizes)

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits (N, D, B)."""
        first, *others = self.layers
        seen_NF = torch.cat([inputs.vector, inputs.image.flatten(1)], dim=1)
        units_NE = nn.functional.gelu(first(seen_NF) + self.words(inputs.words).sum(1))
        for layer in others:
            units_NE = nn.functional.gelu(layer(units_NE))
        logits_NDB: Tensor = self.heads(units_NE)
        return logits_NDB
