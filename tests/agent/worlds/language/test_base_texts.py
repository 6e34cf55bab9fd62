"""The KL of a language model: zero at the base, the same by the short way as by the long one, and true on average."""

import math
import weakref
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from perdure.agent.worlds.language.base_texts import (
    BaseTexts,
    load_base_texts,
    sample_base_texts,
    save_base_texts,
)
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.texts import alike
from perdure.budget.estimate import per_sequence, per_token
from perdure.eval.unwrapped import unwrapped
from tests.agent.worlds.language.tiny_world import tiny_policy_parts
from tests.models import random_model

PROMPTS = {"a": ["say a", "say b", "say something longer"], "b": [[{"role": "user", "content": "after c?"}], "x"]}


def a_policy(*, lora: bool = False) -> LanguagePolicy:
    model, tokenizer = tiny_policy_parts()
    if lora:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    return LanguagePolicy(model, tokenizer)


def sampled(policy: LanguagePolicy, prompts: Any = None, length: int = 6) -> BaseTexts:
    return sample_base_texts(policy, prompts or PROMPTS, max_completion_length=length, batch_size=2, seed=3)


def move(policy: LanguagePolicy, size: float = 0.05) -> None:
    """A random step away from the base."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.requires_grad:
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("lora", [False, True])
def test_the_base_is_at_exactly_zero_and_a_moved_policy_is_not(lora: bool) -> None:
    policy = a_policy(lora=lora)
    base = sampled(policy)
    assert per_sequence(base.measure(["a", "b"]).kl_base_to_policy).value == 0
    move(policy)
    assert per_sequence(base.measure(["a", "b"]).kl_base_to_policy).value > 1e-4


def long_way(policy: LanguagePolicy, reference: LanguagePolicy, base: BaseTexts, name: str) -> list[float]:
    """The forward KL of each text by whole forward passes of two models, one text at a time, without any cache."""
    texts, sums = base.texts[name], []
    for ids_T, begin, end in zip(texts.ids_ST, texts.prompt_lengths_S, texts.lengths_S, strict=True):
        ids_1T = ids_T[None, : int(end)]
        with torch.no_grad():
            log_p0, log_p = (p.model(input_ids=ids_1T).logits[0].log_softmax(-1) for p in (reference, policy))
        rows = slice(int(begin) - 1, int(end) - 1)
        sums.append(float((log_p0.exp() * (log_p0 - log_p))[rows].sum()))
    return sums


@pytest.mark.parametrize("lora", [False, True])
def test_the_cached_way_equals_two_models_side_by_side(lora: bool) -> None:
    policy, reference = a_policy(lora=lora), a_policy(lora=lora)
    base = sampled(policy)
    move(policy)
    for name in PROMPTS:
        (group,) = base.measure([name]).kl_base_to_policy
        assert group.sums == pytest.approx(long_way(policy, reference, base, name), abs=1e-5)


def test_a_model_that_bends_its_logits_is_measured_through_its_whole_forward() -> None:
    from transformers import Gemma2Config

    _, tokenizer = tiny_policy_parts()
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "final_logit_softcapping": 0.5}
    policies = [LanguagePolicy(random_model(Gemma2Config, tokenizer, **shape, **heads), tokenizer) for _ in range(2)]
    base = sampled(policies[0])
    move(policies[0], 0.2)
    (group,) = base.measure(["a"]).kl_base_to_policy
    assert group.sums == pytest.approx(long_way(*policies, base, "a"), abs=1e-5)


@pytest.mark.parametrize("lora", [False, True])
def test_what_is_saved_measures_the_same(tmp_path: Path, lora: bool) -> None:
    policy = a_policy(lora=lora)
    base = sampled(policy)
    save_base_texts(base, tmp_path)
    move(policy)
    assert load_base_texts(policy, list(PROMPTS), tmp_path).measure(["b"]) == base.measure(["b"])
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors"}


def test_a_head_that_no_update_changes_is_not_kept_twice(tmp_path: Path) -> None:
    frozen, trained = a_policy(lora=True), a_policy()
    for policy, folder, is_own in ((frozen, tmp_path / "frozen", True), (trained, tmp_path / "trained", False)):
        weight = unwrapped(policy.model).get_output_embeddings().weight
        folder.mkdir()
        save_base_texts(sampled(policy), folder)
        for base in (sampled(policy), load_base_texts(policy, list(PROMPTS), folder)):
            assert (base.head["weight"].data_ptr() == weight.data_ptr()) == is_own
        assert ((folder / "head.safetensors").stat().st_size < weight.nbytes) == is_own


def test_a_head_that_was_put_away_reads_the_same_and_goes_again(tmp_path: Path) -> None:
    policy = a_policy()
    base = sampled(policy)
    save_base_texts(base, tmp_path)
    move(policy)
    before = base.measure(["a"])
    base.put_away(tmp_path)
    with base.head_at_hand():
        assert base.measure(["a"]) == before
        held = weakref.ref(base.head["weight"])
    assert held() is None
    frozen = sampled(a_policy(lora=True))
    weight = frozen.head["weight"]
    frozen.put_away(tmp_path / "nothing is there")
    assert frozen.head["weight"] is weight


def test_sampling_and_measuring_leave_no_trace() -> None:
    policy = a_policy()
    policy.model.train()
    state, weights = torch.get_rng_state(), policy.fingerprint()
    sampled(policy).measure(["a"])
    assert torch.equal(torch.get_rng_state(), state)
    assert policy.model.training
    assert policy.fingerprint() == weights


def test_the_estimate_is_unbiased_for_whole_sequences() -> None:
    """Against the sum over every sequence of two tokens, for a vocabulary of 48: the mean over many texts is within
    four standard errors of `sum_y p0(y) log(p0(y) / p(y))`."""
    policy, reference = a_policy(), a_policy()
    prompt = "ab"
    base = sampled(policy, {"t": [prompt] * 400}, length=2)
    move(policy, 0.3)
    found = per_sequence(base.measure(["t"]).kl_base_to_policy)
    exact = exact_kl(reference, policy, policy.encode(prompt))
    assert found.stderr is not None
    assert abs(found.value - exact) < 4 * found.stderr
    assert found.stderr < exact / 4, "the test would pass for anything"


def exact_kl(p0: LanguagePolicy, p: LanguagePolicy, prompt: list[int]) -> float:
    end, size = p0.tokenizer.eos_token_id, len(p0.tokenizer)
    rows = torch.tensor([[*prompt, token] for token in range(size)])
    with torch.no_grad():
        log_p0, log_p = (each.model(input_ids=rows).logits[:, -2:].double().log_softmax(-1) for each in (p0, p))
    total = 0.0
    for first, second in product(range(size), range(size)):
        if first == end and second > 0:
            continue  # a text that ended after one token counts once
        tail0, tail = (0.0, 0.0) if first == end else (log_p0[first, 1, second], log_p[first, 1, second])
        whole0, whole = log_p0[0, 0, first] + tail0, log_p[0, 0, first] + tail
        total += math.exp(whole0) * float(whole0 - whole)
    return total


def test_chunks_do_not_matter() -> None:
    policy = a_policy()
    base = sampled(policy)
    move(policy)
    small = BaseTexts(policy, base.texts, base.head, chunk_rows=1)
    assert per_token(small.measure(["a"]).kl_base_to_policy).value == pytest.approx(
        per_token(base.measure(["a"]).kl_base_to_policy).value, rel=1e-5
    )


def test_tasks_share_the_texts_of_a_reading_and_a_short_task_gives_what_it_has() -> None:
    policy = a_policy()
    base = sampled(policy, {"one": ["a"], "two": ["a", "b"], "eight": list("abcdefgh")})
    sizes = {n: [len(group.sums) for group in base.measure(list(base.texts)[-n:]).kl_base_to_policy] for n in (1, 2, 3)}
    assert sizes == {1: [8], 2: [2, 4], 3: [1, 2, 3]}


def test_several_tasks_are_read_together_as_each_by_itself() -> None:
    policy = a_policy()
    base = sampled(policy, {"long": ["say something longer " * 9] * 3, "short": list("abcdef"), "mid": ["say c"] * 4})
    move(policy)
    together = base.measure(list(base.texts))
    for number, texts in enumerate(list(base.texts.values())):
        alone = BaseTexts(policy, {"one": texts.one_in(3)}, base.head).measure(["one"])
        for kind, groups in vars(together).items():
            (group,) = getattr(alone, kind)
            assert groups[number].lengths == group.lengths
            assert groups[number].sums == pytest.approx(group.sums, rel=1e-4, abs=1e-6)


def test_short_texts_share_a_pass_beside_a_long_one_of_another_task() -> None:
    policy = a_policy()
    base = sampled(policy, {"long": ["say something longer " * 30] * 4, "short": list("abcdefghijkl")})
    passes: list[int] = []
    unwrapped(policy.model).get_decoder().register_forward_hook(lambda _, __, output: passes.append(len(output[0])))
    base.measure(list(base.texts))
    assert sorted(passes) == [2, 6]


def test_texts_share_a_pass_unless_padding_costs_more_than_a_pass() -> None:
    assert alike([9, 10, 9, 42], tokens=2048, padding=32) == [[0, 2, 1], [3]]  # 2 tokens of padding, then 3 x 32 more
    assert alike([10, 42], tokens=2048, padding=32) == [[0, 1]]
    assert alike([1000, 1000, 1000], tokens=2048, padding=32) == [[0, 1], [2]]
