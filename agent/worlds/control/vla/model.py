"""A model of this process whose next tokens are an action."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.vla.encoding import encoded
from perdure.agent.worlds.control.vla.forward import CachedDecoding, PromptBatch, forced
from perdure.curriculum.worlds.control.environments.contract import Observation


class ActionDecoding(Protocol):
    """The tokens of actions, chosen one after the other; `log_NV` are the log-probabilities of the next ones."""

    log_NV: Tensor

    def next(self, tokens_N: Tensor) -> None:
        """Go on behind these tokens."""
        ...

    def end(self) -> None:
        """Free what was kept of the tokens so far."""
        ...


class TokenModel(Protocol):
    """A model, here or in a worker, as an actor needs it. Log-probabilities are natural, float32."""

    network: nn.Module
    device: torch.device

    def encode(self, observations: Sequence[Observation]) -> Inputs:
        """Observations as pixels and tokens. Raises DataError: an observation without an image."""
        ...

    def forced(self, tokens_NL: Tensor, pixels: Tensor, actions_ND: Tensor) -> Tensor:
        """Log-probabilities (N, D, V) of each token of the actions, given those before it."""
        ...

    def begin(self, tokens_NL: Tensor, pixels: Tensor) -> ActionDecoding:
        """Begin to choose actions behind these prompts."""
        ...


class LocalModel:
    """An image-text-to-text model of transformers (see `TokenModel`)."""

    def __init__(self, network: nn.Module, processor: Any, prompt: str, *, base: bool = False) -> None:
        """`base`: the adapter is off, which makes it the base that the adapter was put on."""
        self.network, self.processor = network, processor
        self._prompt, self._base = prompt, base
        first = next(network.parameters())
        self.device, self._dtype = first.device, first.dtype
        self._typed = "token_type_ids" in processor.model_input_names
        self._image = int(network.config.image_token_id)  # type: ignore[union-attr, arg-type]

    def encode(self, observations: Sequence[Observation]) -> Inputs:
        """See `TokenModel.encode`."""
        return encoded(self.processor, self._prompt, observations).to(self.device)

    def forced(self, tokens_NL: Tensor, pixels: Tensor, actions_ND: Tensor) -> Tensor:
        """See `TokenModel.forced`. Activations are computed again for the gradient, and not kept until then."""
        prompts = self._prompts(tokens_NL, pixels)
        with self._adapter():
            if not torch.is_grad_enabled():
                return forced(self.network, prompts, actions_ND)
            found: Tensor = checkpoint(forced, self.network, prompts, actions_ND, use_reentrant=False)
            return found

    def begin(self, tokens_NL: Tensor, pixels: Tensor) -> ActionDecoding:
        """See `TokenModel.begin`."""
        return CachedDecoding(self.network, self._prompts(tokens_NL, pixels), self._adapter)

    def _prompts(self, tokens_NL: Tensor, pixels: Tensor) -> PromptBatch:
        return PromptBatch(tokens_NL, pixels.to(self._dtype), self._typed, self._image)

    def _adapter(self) -> AbstractContextManager[Any]:
        return self.network.disable_adapter() if self._base else nullcontext()  # type: ignore[operator]
