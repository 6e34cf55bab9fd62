"""The head's product is in float32, so that small KLs are read as they are; its rows follow the memory."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perdure.agent.worlds.language import base_loss
from perdure.agent.worlds.language.base_texts import BaseTexts, sample_base_texts
from perdure.agent.worlds.language.head import CAST_ELEMENTS, float32_head, logits, rows_at_once
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.divergence import divergences
from perdure.budget.estimate import per_token
from tests.agent.worlds.language.tiny_world import tiny_policy_parts

PROMPTS = {"a": [f"say {letter}" for letter in "abcdefgh"]}


def exact_kl(hidden_RH: Tensor, base_VH: Tensor, moved_VH: Tensor) -> float:
    """The mean KL of the positions in float64."""
    log_p0, log_p = ((hidden_RH.double() @ head.double().T).log_softmax(-1) for head in (base_VH, moved_VH))
    return float((log_p0.exp() * (log_p0 - log_p)).sum(-1).mean())


def moved_head(precision: Any, step: float) -> tuple[BaseTexts, Tensor, Tensor]:
    """Texts beside a policy whose head alone is a step away from their base's; both heads, in its format."""
    weights, autocast = precision
    model, tokenizer = tiny_policy_parts()
    model.lm_head.weight = nn.Parameter(8 * model.lm_head.weight.detach())  # no longer the embedding's
    model.lm_head.weight.data[:, 0] = 1.0  # all logits of a position are far from 0 together, as in a trained model
    model.model.norm.weight.data[0] = 20.0
    policy = LanguagePolicy(model.to(weights), tokenizer, autocast)
    base = sample_base_texts(policy, PROMPTS, max_completion_length=8, batch_size=8, seed=0)
    head = model.lm_head.weight
    before = head.detach().clone()
    with torch.no_grad():
        noise = torch.randn(head.shape, generator=torch.Generator().manual_seed(1))
        head[:, 1:] += step * noise[:, 1:]
    return base, before, head.detach()


@pytest.mark.parametrize("precision", [(torch.bfloat16, None), (torch.float32, torch.bfloat16)])
@pytest.mark.parametrize(("step", "about"), [(1e-3, 1e-5), (3e-3, 1e-4), (1e-2, 1e-3), (3e-2, 1e-2)])
def test_a_known_kl_is_read_as_it_is_from_1e_5_on(precision: Any, step: float, about: float) -> None:
    base, before, after = moved_head(precision, step)
    true = exact_kl(base.texts["a"].hidden_RH, before, after)
    assert about / 3 < true < about * 3
    assert per_token(base.measure(["a"]).kl_base_to_policy).value == pytest.approx(true, rel=5e-3)
    loss = base_loss.BaseLoss(base, ["a"], unit="token", num_texts=8, seed=0)
    assert float(loss.backward(0, 1.0, Tensor.backward)) == pytest.approx(true, rel=5e-3)


def test_a_product_in_bfloat16_reads_rounding() -> None:
    """The departure that `logits` is for."""
    base, before, after = moved_head((torch.bfloat16, None), 1e-3)
    hidden_RH = base.texts["a"].hidden_RH
    both = (nn.functional.linear(hidden_RH, head) for head in (before, after))
    true, rounded = exact_kl(hidden_RH, before, after), float(divergences(*both).kl_base_to_policy_N.mean())
    assert rounded > 5 * true


def test_a_large_head_is_cast_in_parts_and_one_in_float32_as_it_is() -> None:
    draw = torch.Generator().manual_seed(0)
    hidden_NH, weight_VH, bias_V = (torch.randn(size, generator=draw) for size in ((3, 4), (7, 4), (7,)))
    assert logits(hidden_NH, weight_VH, bias_V).equal(nn.functional.linear(hidden_NH, weight_VH, bias_V))
    half_VH = weight_VH.bfloat16()
    found = logits(hidden_NH, half_VH.expand(7, 4), bias_V)
    assert found.allclose(nn.functional.linear(hidden_NH, half_VH.float(), bias_V), atol=1e-6)
    wide_VH = torch.ones(5, 1, dtype=torch.bfloat16).expand(5, CAST_ELEMENTS // 2)
    assert logits(torch.ones(1, CAST_ELEMENTS // 2), wide_VH).tolist() == [[CAST_ELEMENTS / 2] * 5]


def test_a_model_with_a_head_of_its_own_gives_float32_logits_inside_alone() -> None:
    policy = LanguagePolicy(tiny_policy_parts()[0].bfloat16(), None, torch.bfloat16)
    ids = torch.tensor([[1, 5, 6]])
    with policy.autocast(), float32_head(policy.model):
        inside = policy.model(input_ids=ids).logits
    assert (inside.dtype, policy.model(input_ids=ids).logits.dtype) == (torch.float32, torch.bfloat16)
    assert "forward" not in vars(policy.model.lm_head)


@pytest.mark.parametrize(
    ("rows", "vocabulary", "free", "expected"),
    [
        (16_384, 152_000, None, 26),  # 4,000,000 / 152,000
        (16_384, 10_000_000, None, 1),
        (16_384, 152_000, 68 * 10**9, 256),  # 68 GB / (16 parts · 16 numbers · 4 bytes · 152,000) = 436
        (16_384, 152_000, 10**9, 26),
        (100, 152_000, 68 * 10**9, 100),
        (10**6, 32, 10**9, 125_000),
    ],
)
def test_rows_follow_the_free_memory(rows: int, vocabulary: int, free: int | None, expected: int) -> None:
    assert rows_at_once(rows, vocabulary, free) == expected
