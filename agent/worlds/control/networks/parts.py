"""Parts that networks share. Axes as in `inputs.py`; E the width, D dimensions of the action, B values of each."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perdure.agent.worlds.control.inputs import ROWS

NEVER = -1e4
"""The logit of a value that a dimension does not have: its probability is exactly 0 in float32."""


class Words(nn.Module):
    """The sum of a word's rows of one table."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(ROWS, width)

    def forward(self, words_NLK: Tensor) -> Tensor:
        """Words as vectors, those behind the last as 0: (N, L, K) to (N, L, E)."""
        there_NL1 = words_NLK[:, :, :1] >= 0
        found: Tensor = self.table(words_NLK.clamp_min(0)).sum(2) * there_NL1
        return found


class Heads(nn.Module):
    """One categorical head a dimension of the action, in one product."""

    def __init__(self, width: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.linear = nn.Linear(width, len(self.sizes) * max(self.sizes))
        least = torch.arange(max(self.sizes))[None] < torch.tensor(self.sizes)[:, None]
        self.register_buffer("has", least, persistent=False)

    def forward(self, units_NE: Tensor) -> Tensor:
        """Logits (N, D, B), `NEVER` for values that a dimension does not have."""
        logits_NDB = self.linear(units_NE).view(-1, len(self.sizes), max(self.sizes))
        has: Tensor = self.has  # type: ignore[assignment]
        masked_NDB: Tensor = logits_NDB.masked_fill(~has, NEVER)
        return masked_NDB


def matrices(network: nn.Module) -> dict[str, Tensor]:
    """The trained weight matrices by name, without tables of embeddings."""
    tables = {id(one.weight) for one in network.modules() if isinstance(one, nn.Embedding)}
    return {
        name: one
        for name, one in network.named_parameters()
        if one.dim() == 2 and one.requires_grad and id(one) not in tables
    }
