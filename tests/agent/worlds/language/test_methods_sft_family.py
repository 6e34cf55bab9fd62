"""What each variant of SFT changes: by hand where it is a formula, and against what it should be equal to."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import ALONE, Beside, Progress
from perdure.agent.worlds.language.methods import find_update
from perdure.agent.worlds.language.methods.eaft import eaft_loss
from perdure.agent.worlds.language.methods.ewc import drawn_log_likelihood, fisher, texts
from perdure.agent.worlds.language.methods.lora import matrices
from perdure.agent.worlds.language.methods.losses import entropy_weights
from perdure.agent.worlds.language.methods.low_rank import LowRankAdamW, factor_gradients
from perdure.agent.worlds.language.methods.replay import mixture
from perdure.agent.worlds.language.trl.rows import demonstration_rows, encode_demonstration, recalled, token_rows
from perdure.budget.errors import ConfigError, DataError
from perdure.budget.estimate import per_token
from perdure.curriculum.settings import (
    Common,
    EaftTrain,
    EwcTrain,
    L2Train,
    LoraTrain,
    LowLrSftTrain,
    ReplayTrain,
    SftTrain,
)
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import Method
from tests.agent.worlds.language.tiny_world import BASE_GROUPS, tiny_lora_policy, tiny_policy, toy_task, with_base

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8, "max_steps": 4}


def after(method: Method, settings: Common, folder: Path, beside: Beside = ALONE, policy: Any = None) -> str:
    """The weights' hash after one update."""
    policy = policy or with_base(tiny_policy())

    def watch(progress: Progress) -> bool:
        return False

    update = find_update(method)
    update(policy, toy_task(16), settings, seed=5, folder=folder, watch=watch, beside=beside)
    return digest(trainable(policy.model))


def plain(folder: Path, **more: Any) -> str:
    return after("sft", SftTrain(**(QUICK | more)), folder)


def test_variants_that_change_nothing_are_sft(tmp_path: Path) -> None:
    sft = plain(tmp_path / "sft")
    assert after("replay", ReplayTrain(**QUICK), tmp_path / "replay") == sft  # nothing came before
    # a rate that is set has its share already; of the default, 1e-5, it is taken
    own = {name: value for name, value in QUICK.items() if name != "learning_rate"}
    assert after("low_lr_sft", LowLrSftTrain(**QUICK), tmp_path / "low") == sft
    assert after("low_lr_sft", LowLrSftTrain(**own, learning_rate_share=0.5), tmp_path / "share") == plain(
        tmp_path / "slow", learning_rate=1e-5 * 0.5
    )
    assert sft != digest(trainable(tiny_policy().model))


def test_quadratic_terms_hold_the_policy_back(tmp_path: Path) -> None:
    """L2 by the distance in weights, EWC by the KL on the texts that its Fisher information is of."""
    start = trainable(tiny_policy().model)

    def moved(method: Method, settings: Common, beside: Beside = ALONE) -> tuple[float, float]:
        policy = with_base(tiny_policy())
        after(method, settings, tmp_path / method, beside, policy)
        square = sum(float((one - start[name]).square().sum()) for name, one in trainable(policy.model).items())
        return math.sqrt(square), per_token(policy.base.texts.measure(BASE_GROUPS).kl_base_to_policy).value

    distance, kl = moved("sft", SftTrain(**QUICK))
    assert moved("l2", L2Train(**QUICK, l2_lambda=10.0))[0] < 0.8 * distance
    assert moved("ewc", EwcTrain(**QUICK, ewc_lambda=1e5, fisher_items=12), Beside(texts=BASE_GROUPS))[1] < 0.8 * kl


# EAFT


def test_entropy_weights_by_hand() -> None:
    """Two likeliest of three tokens: even, they have the entropy ln 2, over ln 2: 1. At odds of 3 to 1 among
    themselves -(3/4 ln 3/4 + 1/4 ln 1/4) / ln 2 = 0.811278. Sure of one token: 0. The third token plays no part."""
    logits_NV = torch.tensor([[1.0, 1.0, -2.0], [math.log(3), 0.0, -1.0], [200.0, 0.0, 0.0]])
    assert entropy_weights(logits_NV, top_k=2).tolist() == pytest.approx([1.0, 0.811278, 0.0], abs=1e-6)
    # Three tokens and no more: all even gives 1 again, whatever k is.
    assert entropy_weights(torch.zeros(1, 3), top_k=20).tolist() == pytest.approx([1.0])


def test_eaft_loss_by_hand_and_its_gradient() -> None:
    """The second row above, label 1, two tokens in the step: p = (3/4, 1/4) up to the third token's share.

    With a third token of no mass the loss is 0.811278 · ln 4 / 2 = 0.562335, and the gradient, none of which goes
    through the weight, is 0.811278 · (p - onehot) / 2 = (0.304229, -0.304229, 0).
    """
    logits_NV = torch.tensor([[math.log(3), 0.0, -200.0]], requires_grad=True)
    loss = eaft_loss(logits_NV, torch.tensor([1]), top_k=2, tokens=2)
    loss.backward()
    assert loss.item() == pytest.approx(0.562335, abs=1e-6)
    assert logits_NV.grad is not None
    assert logits_NV.grad[0].tolist() == pytest.approx([0.304229, -0.304229, 0.0], abs=1e-6)


def test_accumulation_changes_nothing_in_eaft(tmp_path: Path) -> None:
    losses = []
    for number, batches in enumerate((1, 2)):
        seen: list[Progress] = []
        more = {"per_device_train_batch_size": 8 // batches, "gradient_accumulation_steps": batches}
        find_update("eaft")(
            tiny_policy(),
            toy_task(16),
            EaftTrain(**(QUICK | more)),
            seed=5,
            folder=tmp_path / str(number),
            watch=lambda progress, seen=seen: bool(seen.append(progress)),
        )
        losses.append([progress.loss for progress in seen])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][0] == pytest.approx(3.9, abs=0.3)  # a random model is unsure of everything: SFT's ln 49 = 3.89


# Replay


def task_of(name: str, letters: str, *, bare: bool = False) -> Task:
    items = [replace(item, demonstration=letters, columns={"of": name}) for item in toy_task(10).train]
    return Task(name, tuple([*items[:-1], replace(items[-1], demonstration=None)] if bare else items), (), None)


@pytest.mark.parametrize(("ratio", "count"), [(0.2, 5), (0.01, 1), (0.5, 20), (0.9, 20)])
def test_the_share_of_replayed_examples(ratio: float, count: int) -> None:
    """Of 20 new items: 5 old make 5/25, a hundredth is one at least, 20 make a half, and there are no more than 20."""
    mixed = mixture(toy_task(20), [task_of("a", "x"), task_of("b", "y")], ratio=ratio, seed=0)
    assert mixed[:20] == toy_task(20).train
    names = [item.columns["of"] for item in mixed[20:]]
    assert len(names) == count
    assert abs(names.count("a") - names.count("b")) <= 1


def test_replay_is_drawn_at_the_seed_and_leaves_out_what_cannot_be_imitated() -> None:
    earlier = [task_of("a", "x"), task_of("bare", "y", bare=True)]
    first, same, other = (recalled(earlier, count=5, seed=seed) for seed in (0, 0, 1))
    assert first == same != other
    assert {item.columns["of"] for item in first} == {"a"}
    assert recalled([task_of("bare", "y", bare=True)], count=5, seed=0) == []
    assert recalled([], count=5, seed=0) == []


def test_replay_mixes_text_and_messages_and_moves_the_policy_elsewhere(tmp_path: Path) -> None:
    earlier = (replace(toy_task(6, chat=False), name="old"),)
    mixed = after("replay", ReplayTrain(**QUICK, replay_ratio=0.3), tmp_path / "a", Beside(earlier=earlier))
    assert mixed != plain(tmp_path / "sft")


@pytest.mark.parametrize("chat", [True, False])
def test_rows_of_tokens_are_what_trl_makes_of_the_demonstrations(chat: bool, tmp_path: Path) -> None:
    from datasets import Dataset

    from perdure.agent.worlds.language.methods.sft import SftTrainer
    from perdure.agent.worlds.language.trl.config import build_config

    items, policy = toy_task(5, chat=chat).train, tiny_policy()
    config = build_config("sft", SftTrain(), folder=tmp_path, seed=0, device_type="cpu", dtype="float32")
    rows = [
        SftTrainer(
            model=policy.model, args=config, train_dataset=Dataset.from_list(given), processing_class=policy.tokenizer
        ).train_dataset
        for given in (demonstration_rows(items), token_rows(policy.tokenizer, items))
    ]
    assert [(row["input_ids"], row["labels"]) for row in rows[0]] == [
        (row["input_ids"], row["labels"]) for row in rows[1]
    ]


def test_replay_without_demonstrations_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be learned by `replay`"):
        find_update("replay")(
            tiny_policy(),
            task_of("bare", "x", bare=True),
            ReplayTrain(),
            seed=0,
            folder=tmp_path,
            watch=lambda _: False,
        )


# EWC


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
    old = task_of("old", "x")
    known = [encode_demonstration(policy.tokenizer, item) for item in old.train]
    both = list(texts(policy, Beside(earlier=(old,), texts=BASE_GROUPS), count=8, seed=0))
    assert sum(one in known for one in both) == 4
    assert len(both) == 8
    assert len(list(texts(policy, Beside(texts=BASE_GROUPS), count=8, seed=0))) == 8
    assert len(list(texts(policy, Beside(texts=BASE_GROUPS), count=99, seed=0))) == 12  # as many as there are
    assert all(one in known for one in texts(policy, Beside(earlier=(old,)), count=8, seed=0))


# LoRA


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
    after("lora", LoraTrain(**QUICK, r=2), tmp_path, policy=policy)
    trained = matrices(policy.model)
    assert len(trained) == 14  # two layers of four projections and three of the MLP
    for name, one in trainable(policy.model).items():
        change = one - start[name]
        assert (torch.linalg.matrix_rank(change, rtol=1e-4) == 2) if name in trained else not change.any(), name


def test_lora_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a LoRA adapter already"):
        after("lora", LoraTrain(**QUICK), tmp_path, policy=tiny_lora_policy())
    with pytest.raises(ConfigError, match="trains by AdamW"):
        after("lora", LoraTrain(**QUICK, trl={"optim": "sgd"}), tmp_path)
