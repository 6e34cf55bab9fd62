"""A prompt that is computed once for all of its answers gives what it gives when it is computed for each."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BloomConfig,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    MambaConfig,
    Qwen3Config,
)

from perdure.agent.weights import trainable
from perdure.agent.worlds.language.methods.rl import RlTrainer
from perdure.agent.worlds.language.shared_prefix import continued, generate, prefilled, unshared
from tests.agent.worlds.language.jobs import job_of, settings_of, update
from tests.agent.worlds.language.on_policy import PLAIN, move, sampled, sampler
from tests.agent.worlds.language.tiny_world import (
    TinyPolicy,
    tiny_lora_policy,
    tiny_policy,
    tiny_tokenizer,
)
from tests.agent.worlds.language.toy import toy_task
from tests.models import random_model

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
    mamba = random_model(MambaConfig, tokenizer, hidden_size=16, num_hidden_layers=1, state_size=4)
    assert "mamba" in str(unshared(mamba))


@pytest.mark.parametrize("method", ["rl", "tilt", "chord", "gate", "sdft"])
@pytest.mark.parametrize("adapter", [False, True])
def test_a_stage_learns_the_same(method: str, adapter: bool, tmp_path: Path) -> None:
    if adapter and method in ("chord", "gate"):
        pytest.skip("the sampling and scoring are those of `rl`")
    found = []
    for share in (False, True):
        policy = tiny_lora_policy() if adapter else tiny_policy()
        policy.prefix_caching = share
        if not adapter:
            policy.load_base = lambda: tiny_policy().model
            move(policy)
        start = {name: tensor.clone() for name, tensor in trainable(policy.model).items()}
        figures: list[Any] = []
        settings = settings_of(
            method, max_steps=1, num_generations=4, per_device_train_batch_size=16, max_completion_length=5, **PLAIN
        )

        def watch(progress: Any, figures: list[Any] = figures) -> bool:
            figures.append((progress.loss, progress.reward, progress.entropy or 0.0))
            return False

        update(job_of(method, policy, toy_task(16), tmp_path / str(share), settings, watch=watch))
        found.append((start, dict(trainable(policy.model)), figures))
    (start, apart, figures), (_, shared, again) = found
    moved = max((apart[name] - start[name]).abs().max().item() for name in apart)
    assert moved > 1e-4
    assert max((apart[name] - shared[name]).abs().max().item() for name in apart) <= 1e-3 * moved
    for one, other in zip(figures[0], again[0], strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-7)


def gradient(policy: TinyPolicy, share: bool, alive: list[int], trainer_class: Any = RlTrainer) -> dict[str, Tensor]:
    """The gradient of a batch of 12 rows of which these have an advantage."""
    policy.prefix_caching = share
    settings = settings_of("rl", num_generations=4, per_device_train_batch_size=12, max_completion_length=5)
    trainer = sampler(trainer_class, "rl", policy, settings, toy_task(16))
    inputs = sampled(trainer, [0, 1, 2], 4)
    inputs["advantages"] = torch.zeros(12)
    inputs["advantages"][alive] = torch.linspace(-1, 1, len(alive))
    trainer.current_gradient_accumulation_steps = 1
    trainer._compute_loss(trainer.model, inputs).backward()
    return {name: tensor.grad.clone() for name, tensor in policy.model.named_parameters() if tensor.requires_grad}


class Whole(RlTrainer):
    """A trainer that takes a backward pass for every row."""

    @property
    def idle_B(self) -> None:  # type: ignore[override]
        """No row."""

    @idle_B.setter
    def idle_B(self, idle_B: Tensor | None) -> None:
        pass


@pytest.mark.parametrize("share", [False, True])
def test_rows_without_an_advantage_change_no_gradient(share: bool) -> None:
    for alive in ([0, 1, 2, 3], [5, 6], []):
        lean = gradient(tiny_policy(), share, alive)
        whole = gradient(tiny_policy(), share, alive, Whole)
        assert bool(alive) == any(bool(tensor.any()) for tensor in lean.values())
        for name, tensor in whole.items():
            torch.testing.assert_close(lean[name], tensor, rtol=1e-4, atol=1e-7)
