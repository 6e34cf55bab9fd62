"""Logits of the tokens of an action, teacher-forced or one after the other.

Axes: N decisions of prompts of one length L, D dimensions of the action, V tokens of the vocabulary.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class PromptBatch:
    """N prompts of one length, none of them padded.

    Attributes:
        tokens: shape (N, L).
        pixels: what the processor made of the images, (N, …).
        typed: the model tells the prompt, which sees all of itself, from the answer (PaliGemma).
        image: the token in whose places the image stands. Where it is sampled as an action's, which it never is, the
            tokens behind it are chosen as if it were token 0: there is no second image.
    """

    tokens: Tensor
    pixels: Tensor
    typed: bool
    image: int

    def arguments(self, answers_ND: Tensor) -> dict[str, Tensor]:
        """The arguments of a forward pass on the prompts with these tokens behind them."""
        tokens = torch.cat([self.tokens, self.readable(answers_ND)], dim=1)
        found = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "pixel_values": self.pixels}
        if self.typed:
            is_answer = torch.arange(tokens.shape[1], device=tokens.device) >= self.tokens.shape[1]
            found["token_type_ids"] = is_answer.long().expand_as(tokens)
        return found

    def readable(self, answers: Tensor) -> Tensor:
        """Tokens of answers, without the image's."""
        return answers.masked_fill(answers == self.image, 0)


def forced(network: Any, prompts: PromptBatch, actions_ND: Tensor) -> Tensor:
    """Log-probabilities (N, D, V) of each dimension's token, given the actions' earlier ones; float32."""
    arguments = prompts.arguments(actions_ND[:, :-1])
    logits = network(**arguments, use_cache=False, logits_to_keep=actions_ND.shape[1]).logits
    found: Tensor = logits[:, -actions_ND.shape[1] :].float().log_softmax(-1)
    return found


class CachedDecoding:
    """The tokens of actions, chosen one after the other; the key-value cache keeps what was seen."""

    def __init__(self, network: Any, prompts: PromptBatch, adapter: Callable[[], AbstractContextManager[Any]]) -> None:
        """`adapter`: the state of an adapter, on or off, inside a forward pass."""
        self._adapter = adapter
        self._network, self._prompts, self._length = network, prompts, prompts.tokens.shape[1]
        none_N0 = prompts.tokens[:, :0]
        with adapter():
            self._take(network(**prompts.arguments(none_N0), use_cache=True, logits_to_keep=1))

    def next(self, tokens_N: Tensor) -> None:
        """Go on behind these tokens."""
        self._length += 1
        mask = torch.ones(len(tokens_N), self._length, dtype=torch.long, device=tokens_N.device)
        read_N1 = self._prompts.readable(tokens_N[:, None])
        with self._adapter():
            self._take(
                self._network(input_ids=read_N1, attention_mask=mask, past_key_values=self._cache, use_cache=True)
            )

    def end(self) -> None:
        """Free the cache."""
        self._cache = None

    def _take(self, output: Any) -> None:
        self._cache = output.past_key_values
        self.log_NV: Tensor = output.logits[:, -1].float().log_softmax(-1)
