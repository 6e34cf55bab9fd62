"""Language models of random weights, in the shape that a test asks for."""

from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma3TextConfig,
    GPT2Config,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Qwen3Config,
)

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}
WINDOWS = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "rotary": (Qwen3Config, SHAPE),
    "sliding windows": (Gemma3TextConfig, SHAPE | WINDOWS),
    "learned positions": (GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 2, "attn_pdrop": 0.0}),
    "alibi": (BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 2}),
}
"""Decoders that tell positions apart in different ways: the configuration, and a small shape."""


def random_model(
    config_class: type[PreTrainedConfig], tokenizer: PreTrainedTokenizerBase, *, seed: int = 0, **shape: Any
) -> Any:
    """A model in evaluation mode, equal for equal seeds. Leaves the generators as they were.

    Vocabulary and special tokens are the tokenizer's, and the output head is the embedding's, unless `shape`, which is
    in the words of `config_class`, says otherwise.
    """
    usual = {
        "vocab_size": len(tokenizer),
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = config_class(**(usual | shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config).eval()
