"""A VLA as an actor: its distribution over each token of an action, exact over the whole vocabulary."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from perdure.agent.worlds.control.actor import ROWS, Pick
from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.vla.model import TokenModel
from perdure.curriculum.worlds.control.environments.contract import Observation

TRAINED_ROWS = 8
"""Rows whose activations are in memory at once when there is a gradient; each part's pass is made twice for it."""


class VlaActor:
    """A model of tokens (see `perdure.agent.worlds.control.actor.Actor`); an action has `dimensions` tokens.

    Rows go through the model with others of the same length, so that none is padded.
    """

    def __init__(self, model: TokenModel, dimensions: int) -> None:
        self.model, self._dimensions = model, dimensions
        self.network: nn.Module = model.network

    def encode(self, observations: Sequence[Observation]) -> Inputs:
        """See `Actor.encode`. Raises DataError: an observation without an image."""
        return self.model.encode(observations)

    def log_probabilities(self, inputs: Inputs, actions_ND: Tensor) -> Tensor:
        """See `Actor.log_probabilities`; B is the vocabulary."""
        parts: list[Tensor] = []
        order: list[Tensor] = []
        for rows, filled in alike(inputs):
            found = self.model.forced(*prompts_of(inputs, filled), actions_ND[filled])
            parts.append(found[: len(rows)])
            order.append(rows)
        return torch.cat(parts)[torch.cat(order).argsort()]

    @torch.no_grad()
    def act(self, inputs: Inputs, pick: Pick) -> tuple[Tensor, Tensor]:
        """See `Actor.act`."""
        parts = list(alike(inputs))
        order = torch.cat([rows for rows, _ in parts]).argsort()
        actions: list[Tensor] = []
        logs: list[Tensor] = []
        going = [self.model.begin(*prompts_of(inputs, filled)) for _, filled in parts]
        for dimension in range(self._dimensions):
            found = [one.log_NV[: len(rows)] for one, (rows, _) in zip(going, parts, strict=True)]
            logs.append(torch.cat(found)[order])
            actions.append(pick(logs[-1], dimension))
            if dimension + 1 < self._dimensions:
                for one, (_, filled) in zip(going, parts, strict=True):
                    one.next(actions[-1][filled])
        for one in going:
            one.end()
        return torch.stack(actions, dim=1), torch.stack(logs, dim=1)


def prompts_of(inputs: Inputs, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (N, L) and pixels of rows of one length."""
    tokens = inputs.words[rows, :, 0]
    return tokens[:, : int((tokens[0] >= 0).sum())], inputs.image[rows]


def alike(inputs: Inputs) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows whose prompts have one length, a part at a time, and the same filled up with repetitions.

    Without a gradient a part always has `ROWS`, so that the same numbers come out whatever stands in the others.
    """
    lengths_N = (inputs.words[:, :, 0] >= 0).sum(1)
    for length in sorted(set(lengths_N.tolist())):
        same = torch.nonzero(lengths_N == length)[:, 0]
        for rows in torch.split(same, TRAINED_ROWS if torch.is_grad_enabled() else ROWS):
            count = len(rows) if torch.is_grad_enabled() else ROWS
            yield rows, rows[torch.arange(count, device=rows.device) % len(rows)]
