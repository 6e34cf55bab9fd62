"""Language models of random weights, in the shape that a test asks for."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedTokenizerBase


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
