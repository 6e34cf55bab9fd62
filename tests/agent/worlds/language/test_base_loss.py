"""KL as a loss: the figure that a reading gives, its gradient, and which texts a step takes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import Gemma2Config

from perdure.agent.worlds.base_prompts import draw_texts
from perdure.agent.worlds.language.base_loss import BaseLoss
from perdure.agent.worlds.language.base_texts import BaseTexts, sample_base_texts
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.texts import joined
from perdure.agent.worlds.terms import row_weights
from perdure.budget.config import Unit
from perdure.budget.estimate import per_sequence, per_token
from tests.agent.worlds.language.tiny_world import (
    BASE_GROUPS,
    tiny_lora_policy,
    tiny_policy,
    tiny_policy_parts,
    with_base,
)
from tests.models import random_model

FIGURES = {"token": per_token, "sequence": per_sequence}


def moved(make: Callable[[], Any] = tiny_policy, size: float = 0.05) -> LanguagePolicy:
    """A policy a random step away from its base."""
    policy = with_base(make())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.requires_grad:
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return policy


def gradients(policy: LanguagePolicy, loss: BaseLoss, weight: float = 1.0) -> tuple[float, dict[str, Tensor]]:
    policy.model.zero_grad()
    kl = float(loss.backward(0, weight, Tensor.backward))
    return kl, {name: one.grad for name, one in policy.model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("chunk_rows", [3, 1000])
def test_the_loss_of_the_bases_own_texts_is_that_of_the_tokens_it_wrote(chunk_rows: int) -> None:
    """All texts of one group, one whole forward pass a text: the sum over all tokens, over their number."""
    policy = moved()
    name = BASE_GROUPS[0]
    policy.base.texts.chunk_rows = chunk_rows
    texts, total = policy.base.texts.texts[name], 0.0
    for ids_T, start, end in zip(texts.ids_ST, texts.prompt_lengths_S.tolist(), texts.lengths_S.tolist(), strict=True):
        with torch.no_grad():
            log_TV = policy.model(input_ids=ids_T[None, :end]).logits[0].log_softmax(-1)
        total -= float(log_TV[start - 1 : end - 1].gather(-1, ids_T[start:end, None]).sum())
    found, grads = gradients(policy, policy.base.own_texts([name], num_texts=len(texts.ids_ST), seed=0))
    assert found == pytest.approx(total / sum(texts.rows_S), rel=1e-5)
    assert set(grads) == {name for name, one in policy.model.named_parameters() if one.requires_grad}


@pytest.mark.parametrize("unit", ["token", "sequence"])
@pytest.mark.parametrize("make", [tiny_policy, tiny_lora_policy])
def test_it_is_what_a_reading_gives_on_the_same_texts(unit: Unit, make: Callable[[], Any]) -> None:
    """Two groups of 6: a reading of both takes every second text of each, so each is read alone here."""
    policy = moved(make, 0.2)
    both = [FIGURES[unit](policy.base.texts.measure([name]).kl_base_to_policy).value for name in BASE_GROUPS]
    loss = policy.base.loss(BASE_GROUPS, unit=unit, num_texts=12, seed=0)
    kl, grads = gradients(policy, loss)
    assert kl == pytest.approx(sum(both) / 2, rel=1e-5)
    assert kl > 1e-3
    assert set(grads) == {name for name, one in policy.model.named_parameters() if one.requires_grad}


def test_the_gradient_is_that_of_whole_forward_passes() -> None:
    """Against log-probabilities of two models side by side, a text at a time."""
    policy = moved()
    reference = tiny_policy().model
    texts = policy.base.texts.texts["term/toy"]
    _, found = gradients(policy, policy.base.loss(["term/toy"], unit="sequence", num_texts=6, seed=0), weight=0.5)
    policy.model.zero_grad()
    for ids_T, begin, end in zip(texts.ids_ST, texts.prompt_lengths_S, texts.lengths_S, strict=True):
        log_p0, log_p = (
            model(input_ids=ids_T[None, : int(end)]).logits[0, int(begin) - 1 : int(end) - 1].log_softmax(-1)
            for model in (reference, policy.model)
        )
        (0.5 * (log_p0.exp() * (log_p0 - log_p)).sum() / 6).backward()
    for name, parameter in policy.model.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-6), name


def test_chunks_do_not_matter_and_nothing_is_left_behind() -> None:
    policy = moved()
    policy.model.train()
    state = torch.get_rng_state()
    whole = gradients(policy, policy.base.loss(BASE_GROUPS, unit="token", num_texts=4, seed=0))
    assert torch.equal(torch.get_rng_state(), state)
    assert policy.model.training
    texts = policy.base.texts
    small = BaseTexts(policy, texts.texts, texts.head, chunk_rows=1)
    chunked = gradients(policy, BaseLoss(small, BASE_GROUPS, unit="token", num_texts=4, seed=0))
    assert chunked[0] == pytest.approx(whole[0], rel=1e-6)
    assert all(torch.allclose(chunked[1][name], whole[1][name], atol=1e-7) for name in whole[1])


def test_without_a_weight_there_is_no_gradient() -> None:
    policy = moved()
    loss = policy.base.loss(BASE_GROUPS, unit="token", num_texts=4, seed=0)
    kl, grads = gradients(policy, loss, weight=0.0)
    assert grads == {}
    assert kl == pytest.approx(gradients(policy, loss)[0], rel=1e-6)


def test_a_model_that_bends_its_logits_has_the_same_loss() -> None:
    _, tokenizer = tiny_policy_parts()
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "final_logit_softcapping": 0.5}
    policy = LanguagePolicy(random_model(Gemma2Config, tokenizer, **shape, **heads), tokenizer)
    base = sample_base_texts(policy, {"a": ["a", "bc", "def"]}, max_completion_length=4, batch_size=3, seed=0)
    assert not base.head
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.2)
    kl, _ = gradients(policy, BaseLoss(base, ["a"], unit="token", num_texts=3, seed=0))
    assert kl == pytest.approx(per_token(base.measure(["a"]).kl_base_to_policy).value, rel=1e-5)


def test_row_weights_by_hand() -> None:
    """Two groups, of texts with 1 and 3 rows, and with 2.

    A token: (sum of 4 / 4 + sum of 2 / 2) / 2, so each row counts 1/8 and 1/4. A sequence: the mean of two sums in the
    first group, 1/4 a row with the two groups; one text in the second, 1/2 a row.
    """
    assert row_weights([[1, 3], [2]], "token").tolist() == [1 / 8] * 4 + [1 / 4] * 2
    assert row_weights([[1, 3], [2]], "sequence").tolist() == [1 / 4] * 4 + [1 / 2] * 2


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    count=st.integers(1, 30),
    seed=st.integers(0, 99),
    step=st.integers(0, 99),
)
def test_texts_are_drawn_in_equal_parts_and_none_twice(sizes: list[int], count: int, seed: int, step: int) -> None:
    named = {str(number): size for number, size in enumerate(sizes)}
    drawn = draw_texts(named, count=count, seed=seed, step=step)
    assert drawn == draw_texts(named, count=count, seed=seed, step=step)
    assert drawn
    for name, indices in drawn.items():
        assert len(set(indices)) == len(indices)
        assert set(indices) <= set(range(named[name]))
        part = count // len(sizes)
        assert min(part, named[name]) <= len(indices) <= min(part + 1, named[name])
    if min(sizes) > count:
        assert sum(map(len, drawn.values())) == count


def test_steps_and_seeds_take_different_texts() -> None:
    drawn = {
        (seed, step): str(draw_texts({"a": 50}, count=8, seed=seed, step=step)) for seed in (0, 1) for step in (0, 1)
    }
    assert len(set(drawn.values())) == 4


def test_taking_and_joining_texts_keeps_each_with_its_own_rows() -> None:
    policy = with_base(tiny_policy())
    old, new = (policy.base.texts.texts[name] for name in BASE_GROUPS)
    both = joined([old.take([2, 0]), new.take([1])])
    lone = [old.take([2]), old.take([0]), new.take([1])]
    assert both.rows_S == [one.rows_S[0] for one in lone]
    assert torch.equal(both.hidden_RH, torch.cat([one.hidden_RH for one in lone]))
    for ids_T, one in zip(both.ids_ST, lone, strict=True):
        assert ids_T[: int(one.lengths_S)].tolist() == one.ids_ST[0, : int(one.lengths_S)].tolist()
