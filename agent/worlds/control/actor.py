"""The contract of a network that acts, and sampling from it.

Axes: N decisions, D dimensions of the action, B values of each.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from perdure.agent.worlds.control.inputs import Inputs, inputs_of
from perdure.curriculum.worlds.control.environments.contract import Observation

ROWS = 32
"""Rows of every forward pass without a gradient: the same numbers come out whatever stands in the other rows."""


class Actor(Protocol):
    """A policy's network. Of a dimension, the distribution may depend on the values of those before it."""

    network: nn.Module

    def encode(self, observations: Sequence[Observation]) -> Inputs:
        """Observations as inputs."""
        ...

    def log_probabilities(self, inputs: Inputs, actions_ND: Tensor) -> Tensor:
        """Log-probabilities of each dimension's values, given the actions' earlier dimensions: (N, D, B), natural."""
        ...

    def act(self, inputs: Inputs, pick: "Pick") -> tuple[Tensor, Tensor]:
        """Actions (N, D), picked dimension by dimension, and the log-probabilities (N, D, B) they were picked from."""
        ...


Pick = Callable[[Tensor, int], Tensor]
"""Picks a value of each row from log-probabilities (N, B) of a dimension: (N,)."""


class IndependentActor:
    """A network whose dimensions are independent, so that the KL of a decision is the sum over them."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network = network.to(device)
        self._device = device

    def encode(self, observations: Sequence[Observation]) -> Inputs:
        """See `Actor.encode`."""
        return inputs_of(observations).to(self._device)

    def log_probabilities(self, inputs: Inputs, actions_ND: Tensor) -> Tensor:
        """See `Actor.log_probabilities`; the actions play no part."""
        found: Tensor = self.network(inputs).log_softmax(-1)
        return found

    @torch.no_grad()
    def act(self, inputs: Inputs, pick: Pick) -> tuple[Tensor, Tensor]:
        """See `Actor.act`."""
        none_N0 = torch.empty(len(inputs), 0, device=inputs.vector.device)
        log_NDB = in_chunks(self.log_probabilities, inputs, none_N0)
        picked = [pick(log_NDB[:, one], one) for one in range(log_NDB.shape[1])]
        return torch.stack(picked, dim=1), log_NDB


@torch.no_grad()
def in_chunks(forward: Callable[[Inputs, Tensor], Tensor], inputs: Inputs, actions_ND: Tensor) -> Tensor:
    """A forward pass in chunks of `ROWS` with instructions of like length, so that a row does not depend on the others.

    The last chunk of each length is filled up.
    """
    found, order = [], []
    for rows, length in inputs.of_like_length():
        filled = rows[torch.arange(len(rows) + -len(rows) % ROWS, device=rows.device) % len(rows)]
        chunks = [forward(inputs[one].cut(length), actions_ND[one]) for one in torch.split(filled, ROWS)]
        found.append(torch.cat(chunks)[: len(rows)])
        order.append(rows)
    return torch.cat(found)[torch.cat(order).argsort()]


def sampled(uniforms_ND: Tensor, temperature: float) -> Pick:
    """Picks by inverting the distribution function at numbers in [0, 1); the likeliest value at temperature 0."""

    def pick(log_NB: Tensor, dimension: int) -> Tensor:
        if temperature == 0:
            return log_NB.argmax(-1)
        upto_NB = (log_NB.double() / temperature).softmax(-1).cumsum(-1)
        level_N1 = uniforms_ND[:, dimension : dimension + 1] * upto_NB[:, -1:]
        return (level_N1 >= upto_NB).sum(-1).clamp(max=log_NB.shape[-1] - 1)

    return pick
