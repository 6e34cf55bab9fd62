"""The modifiers `ewc`, `l2`, `cpo` and `self_replay`: what they hold back, and the Fisher information."""

import math
from pathlib import Path
from typing import Any

import torch

from perdure.agent.weights import trainable
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.methods.ewc import Text, drawn_log_likelihood, fisher, texts
from perdure.budget.estimate import per_token
from tests.agent.worlds.language.jobs import after, job_of, settings_of
from tests.agent.worlds.language.tiny_world import BASE_GROUPS, tiny_policy, with_base
from tests.agent.worlds.language.toy import toy_task

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8, "max_steps": 4}


def test_quadratic_terms_hold_the_policy_back(tmp_path: Path) -> None:
    """L2 by the distance in weights, EWC by the KL on the texts that its Fisher information is of."""
    start = trainable(tiny_policy().model)

    def moved(method: str, texts: tuple[str, ...] = (), **own: Any) -> tuple[float, float]:
        policy = with_base(tiny_policy())
        after(method, settings_of(method, **QUICK, **own), tmp_path / method, policy, texts=texts)
        square = sum(float((one - start[name]).square().sum()) for name, one in trainable(policy.model).items())
        return math.sqrt(square), per_token(policy.base.texts.measure(BASE_GROUPS).kl_base_to_policy).value

    distance, kl = moved("sft")
    assert moved("l2", l2={"l2_lambda": 10.0})[0] < 0.8 * distance
    assert moved("ewc", BASE_GROUPS, ewc={"ewc_lambda": 1e5, "fisher_items": 12})[1] < 0.8 * kl
    everything = {"cpo_lambda": 1e4, "protected": 1.0, "fisher_items": 12}
    assert moved("sft+cpo", BASE_GROUPS, cpo=everything)[1] < 0.8 * kl


def test_self_replay_learns_what_the_base_wrote(tmp_path: Path) -> None:
    def surprise(method: str, **own: Any) -> float:
        policy = with_base(tiny_policy())
        after(method, settings_of(method, **QUICK, **own), tmp_path / method, policy, texts=BASE_GROUPS)
        return float(policy.base.own_texts(BASE_GROUPS, num_texts=12, seed=0).backward(0, 0.0, torch.Tensor.backward))

    assert surprise("sft+self_replay", self_replay={"self_replay_weight": 10.0}) < surprise("sft") - 0.05


def test_the_fisher_information_is_that_of_all_the_tokens_the_policy_could_draw() -> None:
    """One position with 49 tokens: F = sum_v p(v) (d ln p(v)/dθ)², by 49 backward passes. Against 300 draws."""
    policy = with_base(tiny_policy())
    model = policy.model
    text = ([*policy.encode("say a"), 7], len(policy.encode("say a")))
    bias = model.model.norm.weight
    logits_V = model(input_ids=torch.tensor([text[0]])).logits[0, text[1] - 1]
    log_V = logits_V.log_softmax(-1)
    exact = torch.zeros_like(bias)
    for one in log_V:
        (gradient,) = torch.autograd.grad(one, bias, retain_graph=True)
        exact += one.detach().exp() * gradient.square()
    found = fisher(policy, [text] * 300, seed=0)["model.norm.weight"]
    assert float((found - exact).abs().sum() / exact.sum()) < 0.2
    assert float(exact.sum()) > 0


def test_the_fisher_information_is_a_token_and_leaves_no_trace() -> None:
    """Of two equal texts of one position each it is half the sum of the squares; of no text it is zero."""
    policy = with_base(tiny_policy())
    policy.model.train()
    state = torch.get_rng_state()
    text = (policy.encode("say a"), 4)
    once, twice = fisher(policy, [text], seed=3), fisher(policy, [text] * 2, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert policy.model.training
    assert all(one.grad is None for one in policy.model.parameters())
    assert set(once) == set(trainable(policy.model)) == set(twice)
    assert not any(one.any() for one in fisher(policy, [], seed=0).values())
    torch.manual_seed(0)
    value = drawn_log_likelihood(policy.model.eval(), *text)
    assert value.item() < 0


def test_texts_to_keep_are_half_the_bases_and_half_of_earlier_tasks() -> None:
    policy = with_base(tiny_policy())
    old = toy_task(10)
    known = [encode_demonstration(policy.tokenizer, item) for item in old.train]

    def kept(count: int, **more: Any) -> list[Text]:
        return list(texts(job_of("ewc", policy, toy_task(), Path(), settings_of("ewc"), **more), count=count, seed=0))

    both = kept(8, earlier=(old,), texts=BASE_GROUPS)
    assert sum(one in known for one in both) == 4
    assert len(both) == 8
    assert len(kept(8, texts=BASE_GROUPS)) == 8
    assert len(kept(99, texts=BASE_GROUPS)) == 12  # as many as there are
    assert all(one in known for one in kept(8, earlier=(old,)))
