"""A VLA as an actor: its distribution over each token of an action, exact over the whole vocabulary."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from perdure.agent.worlds.control.actor import ROWS, Pick
from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.vla.encoding import encoded
from perdure.agent.worlds.control.vla.forward import Generation, Prompts, forced
from perdure.curriculum.worlds.control.environments.contract import Observation

TRAINED_ROWS = 8
"""Rows whose activations are in memory at once when there is a gradient; each part's pass is made twice for it."""


class VlaActor:
    """An image-text-to-text model of transformers (see `perdure.agent.worlds.control.actor.Actor`).

    Rows go through the model with others of the same length, so that none is padded.
    """

    def __init__(self, network: nn.Module, processor: Any, prompt: str, dimensions: int, *, base: bool = False) -> None:
        """`base`: the adapter is off, which makes it the base that the adapter was put on."""
        self.network = network
        self.processor = processor
        self._prompt, self._dimensions, self._base = prompt, dimensions, base
        first = next(network.parameters())
        self._device, self._dtype = first.device, first.dtype
        self._typed = "token_type_ids" in processor.model_input_names
        self._image = int(network.config.image_token_id)  # type: ignore[union-attr, arg-type]

    def encode(self, observations: Sequence[Observation]) -> Inputs:
        """See `Actor.encode`. Raises DataError: an observation without an image."""
        return encoded(self.processor, self._prompt, observations).to(self._device)

    def log_probabilities(self, inputs: Inputs, actions_ND: Tensor) -> Tensor:
        """See `Actor.log_probabilities`; B is the vocabulary."""
        parts: list[Tensor] = []
        order: list[Tensor] = []
        with self._adapter():
            for rows, filled in alike(inputs):
                found = self._forced(self._prompts(inputs, filled), actions_ND[filled])
                parts.append(found[: len(rows)])
                order.append(rows)
        return torch.cat(parts)[torch.cat(order).argsort()]

    def _forced(self, prompts: Prompts, actions_ND: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return forced(self.network, prompts, actions_ND)
        found: Tensor = checkpoint(forced, self.network, prompts, actions_ND, use_reentrant=False)
        return found

    @torch.no_grad()
    def act(self, inputs: Inputs, pick: Pick) -> tuple[Tensor, Tensor]:
        """See `Actor.act`."""
        parts = list(alike(inputs))
        order = torch.cat([rows for rows, _ in parts]).argsort()
        actions: list[Tensor] = []
        logs: list[Tensor] = []
        with self._adapter():
            going = [Generation(self.network, self._prompts(inputs, filled)) for _, filled in parts]
            for dimension in range(self._dimensions):
                found = [one.log_NV[: len(rows)] for one, (rows, _) in zip(going, parts, strict=True)]
                logs.append(torch.cat(found)[order])
                actions.append(pick(logs[-1], dimension))
                if dimension + 1 < self._dimensions:
                    for one, (_, filled) in zip(going, parts, strict=True):
                        one.next(actions[-1][filled])
        return torch.stack(actions, dim=1), torch.stack(logs, dim=1)

    def _prompts(self, inputs: Inputs, rows: Tensor) -> Prompts:
        tokens = inputs.words[rows, :, 0]
        length = int((tokens[0] >= 0).sum())
        return Prompts(tokens[:, :length], inputs.image[rows].to(self._dtype), self._typed, self._image)

    def _adapter(self) -> AbstractContextManager[Any]:
        return self.network.disable_adapter() if self._base else nullcontext()  # type: ignore[operator]


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
