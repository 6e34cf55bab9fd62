"""The parts of sampling from a causal model: its prompts, its settings, its answers' ends."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from perdure.agent.worlds.language.turns import TokenIds
from perdure.eval.unwrapped import unwrapped


def pad_left(rows: Sequence[list[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, each [B, T]."""
    width = max(map(len, rows))
    ids_BT = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    return ids_BT, torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])


@contextmanager
def plain_generation(model: Any) -> Iterator[None]:
    """Set aside, inside, all that the model's generation_config says but its special tokens.

    `generate` takes from there whatever its caller leaves open: beams, forbidden tokens, truncations. Texts would no
    longer be drawn from the distribution that the KL is of.
    """
    inner = unwrapped(model)
    own = inner.generation_config
    tokens = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    inner.generation_config = GenerationConfig(**{name: getattr(own, name) for name in tokens})
    try:
        yield
    finally:
        inner.generation_config = own


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The tokens at which sampling stops."""
    declared = model.generation_config.eos_token_id
    many = declared if isinstance(declared, list | tuple) else [declared]
    return {token for token in (*many, tokenizer.eos_token_id) if token is not None}


def up_to_end(row: TokenIds, ends: Sequence[int]) -> TokenIds:
    """The tokens up to and including the first end-of-turn; what follows is padding."""
    for position, token in enumerate(row):
        if token in ends:
            return row[: position + 1]
    return row
