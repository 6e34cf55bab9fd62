"""A prompt that is computed once for all of its answers gives what it gives when it is computed for each."""

import pytest
import torch
from torch import Tensor
from transformers import (
    BartConfig,
    GenerationConfig,
    GPT2Config,
    MambaConfig,
    OpenAIGPTConfig,
    Qwen3Config,
    RobertaConfig,
    RoFormerConfig,
)

from perdure.eval.shared_prefix import continued, generate, prefilled, unshared
from tests.agent.worlds.language.tiny_world import tiny_tokenizer
from tests.models import MODELS, SHAPE, random_model

COUNTING = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "decoder_layers": 1}
COUNTING |= {"d_model": 32, "decoder_attention_heads": 2}


def rows() -> tuple[Tensor, Tensor]:
    """Seven rows of three prompts of 9, 5 and 9 tokens, padded on the left, and their mask."""
    ids_DP = torch.randint(5, 40, (3, 9), generator=torch.Generator().manual_seed(0))
    mask_DP = torch.ones_like(ids_DP)
    ids_DP[1, :4], mask_DP[1, :4] = 0, 0
    row_B = torch.tensor([0, 1, 0, 2, 1, 0, 2])
    return ids_DP[row_B], mask_DP[row_B]


@pytest.mark.parametrize("name", MODELS)
def test_completions_logits_and_gradients_are_those_of_rows_apart(name: str) -> None:
    kind, shape = MODELS[name]
    model = random_model(kind, tiny_tokenizer(), **shape)
    prompt_BP, mask_BP = rows()
    config = GenerationConfig(max_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=4)
    apart, shared = (generate(model, prompt_BP, mask_BP, config, share=share) for share in (False, True))
    assert torch.equal(apart, shared)

    completion_BT = torch.randint(5, 40, (7, 6), generator=torch.Generator().manual_seed(1))
    whole_BX = torch.cat([prompt_BP, completion_BT], dim=1)
    mask_BX = torch.cat([mask_BP, torch.ones_like(completion_BT)], dim=1)
    cache = prefilled(model, model.config, prompt_BP, mask_BP)
    assert cache is not None
    logits_BTV = [
        model(input_ids=whole_BX, attention_mask=mask_BX).logits[:, 8:],
        model(**continued(cache, prompt_BP, completion_BT, mask_BX)).logits,
    ]
    torch.testing.assert_close(*logits_BTV, rtol=1e-5, atol=2e-6)
    weights = [tensor for tensor in model.parameters() if tensor.requires_grad]
    gradients = [torch.autograd.grad(one.logsumexp(-1).sum(), weights, allow_unused=True) for one in logits_BTV]
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        assert one is None or (one - other).abs().max() <= 1e-5 * one.abs().max() + 1e-7


def test_no_cache_where_no_two_rows_begin_alike() -> None:
    model = random_model(Qwen3Config, tiny_tokenizer(), **SHAPE)
    prompt_BP, mask_BP = rows()
    assert prefilled(model, model.config, prompt_BP[:2], mask_BP[:2]) is None
    assert prefilled(model, model.config, prompt_BP[[0, 0], :1], mask_BP[[0, 0], :1]) is None


def test_what_cannot_be_shared_is_told() -> None:
    tokenizer = tiny_tokenizer()
    model = random_model(Qwen3Config, tokenizer, **SHAPE)
    assert unshared(model) is None
    model.gradient_checkpointing_enable()
    assert unshared(model) is None
    model.train()
    assert unshared(model) == "under activation checkpointing there is no cache"
    noisy = random_model(GPT2Config, tokenizer, n_embd=32, n_layer=2, n_head=2)
    assert unshared(noisy) is None
    assert unshared(noisy.train()) == "each row has a dropout of its own"
    for kind in (RoFormerConfig, BartConfig, RobertaConfig):  # on the left padding would move their tokens
        counting = random_model(kind, tokenizer, is_decoder=True, **COUNTING)
        assert unshared(counting) == f"{counting.config.model_type} counts positions by itself"
    gpt = random_model(OpenAIGPTConfig, tokenizer, n_embd=32, n_layer=1, n_head=2)
    assert unshared(gpt) == "openai-gpt has no dynamic cache of keys and values"
    mamba = random_model(MambaConfig, tokenizer, hidden_size=16, num_hidden_layers=1, state_size=4)
    assert "mamba" in str(unshared(mamba))
