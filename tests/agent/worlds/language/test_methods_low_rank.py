"""The modifier `low_rank`: by hand, against an adapter of peft, and the rank of what it leaves."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from perdure.agent.weights import trainable
from perdure.agent.worlds.language.methods.low_rank import matrices
from perdure.agent.worlds.low_rank_adamw import LowRankAdamW, factor_gradients
from perdure.budget.errors import ConfigError
from tests.agent.worlds.language.jobs import after, settings_of
from tests.agent.worlds.language.tiny_world import tiny_lora_policy, tiny_policy, with_base

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8, "max_steps": 4}


def test_factor_gradients_by_hand() -> None:
    """W is 1x2, rank 1, scale 2: A = (1, 3), B = (5); dL/dW = (1, -1).

    dL/dA = 2 · Bᵀ G = (10, -10); dL/dB = 2 · G Aᵀ = 2 · (1 - 3) = -4.
    """
    down, up = factor_gradients(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 3.0]]), torch.tensor([[5.0]]), 2.0)
    assert (down.tolist(), up.tolist()) == ([[10.0, -10.0]], [[-4.0]])
    with pytest.raises(ValueError, match="no product"):
        factor_gradients(torch.zeros(2, 2), torch.zeros(1, 3), torch.zeros(2, 1), 1.0)


def loss_of(model: Any) -> Tensor:
    ids_BT = torch.arange(24).view(2, 12) + 5
    loss: Tensor = model(input_ids=ids_BT, labels=ids_BT).loss
    return loss


def test_steps_equal_those_of_pefts_adapter() -> None:
    """The same factors in the beginning, two steps of AdamW with clipping: the merged weights agree up to rounding."""
    options: dict[str, Any] = {"lr": 1e-2, "eps": 1e-3, "weight_decay": 0.1}
    ours, theirs = tiny_policy().model, tiny_policy().model
    optimizer = LowRankAdamW(matrices(ours), rank=4, alpha=8.0, max_grad_norm=0.5, seed=0, **options)
    adapter = get_peft_model(theirs, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    down = {name: one for name, one in adapter.named_parameters() if "lora_A" in name}
    with torch.no_grad():
        for mine, one in zip(optimizer._down, down.values(), strict=True):
            mine.copy_(one)
    factors = [one for one in adapter.parameters() if one.requires_grad]
    reference = torch.optim.AdamW(factors, **options)
    for _ in range(2):
        for model in (ours, adapter):
            model.zero_grad()
            loss_of(model).backward()
        torch.nn.utils.clip_grad_norm_(factors, 0.5)
        reference.step()
        optimizer.step()
    merged = dict(adapter.merge_and_unload().named_parameters())
    start = dict(tiny_policy().model.named_parameters())
    for name, one in ours.named_parameters():
        assert torch.allclose(one, merged[name], atol=1e-6), name
        assert torch.equal(one, start[name]) is (name not in matrices(ours)), name


def test_the_update_has_the_rank_and_other_parameters_stay(tmp_path: Path) -> None:
    policy, start = with_base(tiny_policy()), trainable(tiny_policy().model)
    after("lora", settings_of("lora", **QUICK, lora={"r": 2}), tmp_path, policy)
    trained = matrices(policy.model)
    assert len(trained) == 14  # two layers of four projections and three of the MLP
    for name, one in trainable(policy.model).items():
        change = one - start[name]
        assert (torch.linalg.matrix_rank(change, rtol=1e-4) == 2) if name in trained else not change.any(), name


def test_low_rank_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a LoRA adapter already"):
        after("lora", settings_of("lora", **QUICK), tmp_path, tiny_lora_policy())
    with pytest.raises(ConfigError, match="trains by AdamW"):
        after("lora", settings_of("lora", **QUICK, trl={"optim": "sgd"}), tmp_path)
