"""SFT: the recipes that are SFT with other settings, the token weights of EAFT by hand, and rows of tokens."""

import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Progress
from perdure.agent.worlds.language import plugin
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.methods.eaft import eaft_loss
from perdure.agent.worlds.language.trl.config import config_for
from perdure.agent.worlds.language.trl.rows import demonstration_rows, token_rows
from perdure.agent.worlds.language.trl.sft_trainer import SftTrainer
from perdure.agent.worlds.losses import entropy_weights
from perdure.budget.errors import ConfigError
from perdure.curriculum.train import MethodSettings
from tests.agent.worlds.language.jobs import after, job_of, method_of, settings_of
from tests.agent.worlds.language.tiny_world import tiny_policy
from tests.agent.worlds.language.toy import toy_task

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8, "max_steps": 4}


def plain(folder: Path, **more: Any) -> str:
    return after("sft", settings_of("sft", **(QUICK | more)), folder)


def test_variants_that_change_nothing_are_sft(tmp_path: Path) -> None:
    sft = plain(tmp_path / "sft")
    assert after("replay", settings_of("replay", **QUICK), tmp_path / "replay") == sft  # nothing came before
    # a rate that is set has its share already; of the default, 1e-5, it is taken
    shared = {name: value for name, value in QUICK.items() if name != "learning_rate"}

    def low(**own: float) -> MethodSettings:
        return settings_of("low_lr_sft", **shared, low_lr_sft=own)

    assert after("low_lr_sft", low(learning_rate=3e-3), tmp_path / "low") == sft
    assert after("low_lr_sft", low(learning_rate_share=0.5), tmp_path / "share") == plain(
        tmp_path / "slow", learning_rate=1e-5 * 0.5
    )
    assert sft != digest(trainable(tiny_policy().model))


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
        settings, watch = settings_of("eaft", **(QUICK | more)), lambda one, seen=seen: bool(seen.append(one))
        after("eaft", settings, tmp_path / str(number), tiny_policy(), watch=watch)
        losses.append([progress.loss for progress in seen])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][0] == pytest.approx(3.9, abs=0.3)  # a random model is unsure of everything: SFT's ln 49 = 3.89


@pytest.mark.parametrize(("chat", "whole"), [(True, False), (False, False), (True, True)])
def test_rows_of_tokens_are_what_trl_makes_of_the_demonstrations(chat: bool, whole: bool, tmp_path: Path) -> None:
    items, policy = toy_task(5, chat=chat).train, tiny_policy()
    more = {"trl": {"completion_only_loss": False}} if whole else {}
    config = config_for(job_of("sft", policy, toy_task(), tmp_path, settings_of("sft", **more)))
    rows = [
        SftTrainer(
            model=policy.model, args=config, train_dataset=Dataset.from_list(given), processing_class=policy.tokenizer
        ).train_dataset
        for given in (
            demonstration_rows(items),
            token_rows([encode_demonstration(policy.tokenizer, item) for item in items], whole=whole),
        )
    ]
    assert [(row["input_ids"], row["labels"]) for row in rows[0]] == [
        (row["input_ids"], row["labels"]) for row in rows[1]
    ]


def test_a_loss_on_all_turns_of_the_assistant_is_never_one_on_what_tools_say() -> None:
    whole = toy_task(8, chat=True)
    said = {"role": "tool", "name": "clock", "content": "noon"}
    tools = replace(whole, train=tuple(replace(one, prompt=[*one.prompt, said]) for one in whole.train))
    trl = {"completion_only_loss": False, "assistant_only_loss": True}
    for method, task, refused in (("sft", whole, False), ("sft", tools, True), ("sft+replay", whole, True)):
        settings = settings_of(method, trl=trl)
        caught = pytest.raises(ConfigError, match="would learn what users and tools say") if refused else nullcontext()
        with caught:
            plugin.check(method_of(method), settings, task, ())
    plugin.check(method_of("sft"), settings_of("sft", trl=trl | {"completion_only_loss": True}), tools, ())
