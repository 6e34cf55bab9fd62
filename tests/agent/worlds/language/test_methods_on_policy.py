"""The on-policy methods: two paths that must agree, and what their trainers make of samples."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.language.chat import encode_demonstration, encode_prompt
from perdure.agent.worlds.language.methods.gate import GateTrainer
from perdure.agent.worlds.language.methods.sdft import SdftTrainer, TeacherUpdate, teacher_prompt
from perdure.agent.worlds.language.methods.tilt import TiltTrainer
from perdure.agent.worlds.language.trl.step_figures import StepLosses
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from tests.agent.worlds.language.jobs import settings_of
from tests.agent.worlds.language.on_policy import (
    PLAIN,
    answer_logp,
    move,
    same,
    sampled,
    sampler,
)
from tests.agent.worlds.language.runs import QUICK, SAMPLING, based, end, small
from tests.agent.worlds.language.tiny_world import TinyPolicy, tiny_lora_policy, tiny_policy
from tests.agent.worlds.language.toy import toy_task


def has_vowel(items: Any, completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    """1 or 0."""
    return [float(any(letter in "aeiou" for letter in text)) for text in completions]


def always(items: Any, completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    """Every answer is right."""
    return [1.0] * len(completions)


@pytest.mark.parametrize("lora", [False, True])
def test_the_weights_are_those_of_base_and_policy(lora: bool, tmp_path: Path) -> None:
    policy = tiny_lora_policy() if lora else based(tmp_path)
    move(policy, 0.1)
    task = replace(toy_task(16), reward=has_vowel)
    trainer = sampler(TiltTrainer, "tilt", policy, small("tilt"), task)
    output = sampled(trainer, [3, 7, 8], 4)
    rewards_PG = output["rewards"].view(3, 4)
    assert 0 < rewards_PG.sum() < 12
    with torch.no_grad():
        now = torch.stack([answer_logp(policy.model, output, row) for row in range(12)])
        if lora:
            with policy.model.disable_adapter():
                base = torch.stack([answer_logp(policy.model, output, row) for row in range(12)])
        else:
            base = torch.stack([answer_logp(based(tmp_path).model, output, row) for row in range(12)])
    assert (now - base).abs().max() > 0.05
    masses_PG = rewards_PG * (base - now).exp().view(3, 4)
    by_hand_PG = masses_PG / masses_PG.sum(-1, keepdim=True).clamp_min(1e-30)
    assert torch.allclose(output["weights"].view(3, 4), by_hand_PG, atol=1e-4)
    assert all(tensor.requires_grad for name, tensor in policy.model.named_parameters() if "lora" in name or not lora)


@pytest.mark.parametrize("lora", [False, True])
def test_samples_from_the_base_are_the_bases_and_of_equal_weight(lora: bool, tmp_path: Path) -> None:
    task = replace(toy_task(16), reward=has_vowel)
    windows = []
    for moved in (False, True):
        policy = tiny_lora_policy() if lora else based(tmp_path)
        if moved:
            move(policy, 0.2)
        trainer = sampler(TiltTrainer, "tilt", policy, small("tilt"), task)
        trainer.from_base, trainer.beta = True, 0.0
        windows.append(sampled(trainer, [3, 7], 4))
        assert trainer.model is policy.model
    assert torch.equal(windows[0]["completion_ids"], windows[1]["completion_ids"])
    rewards_PG = windows[1]["rewards"].view(2, 4)
    equal_PG = rewards_PG / rewards_PG.sum(-1, keepdim=True).clamp_min(1)
    assert torch.allclose(windows[1]["weights"].view(2, 4), equal_PG)


def test_tilt_at_the_base_with_all_right_is_sft_on_the_samples(tmp_path: Path) -> None:
    """Where policy and base are one every sample of a prompt weighs 1/4; the divisor is the longest answer's length."""
    policy, task = based(tmp_path / "base"), replace(toy_task(2), reward=always)
    trainer = sampler(TiltTrainer, "tilt", policy, small("tilt"), task)
    output = sampled(trainer, [0, 1], 4)
    assert output["weights"].tolist() == pytest.approx([0.25] * 8, abs=1e-5)
    trainer.current_gradient_accumulation_steps = 1
    loss = trainer._compute_loss(policy.model, output)
    plain = based(tmp_path / "base")
    by_hand = -torch.stack([answer_logp(plain.model, output, row) for row in range(8)]).mean() / 6
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    loss.backward()
    by_hand.backward()
    for (name, one), other in zip(policy.model.named_parameters(), plain.model.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-6), name


def test_gate_with_every_prompt_unsolved_is_sft_on_the_demonstrations(tmp_path: Path) -> None:
    """All 16 items are in every step, so that the orders of the two samplers do not matter."""
    shared = PLAIN | {"max_steps": 2}
    sizes = {"num_generations": 2, "max_completion_length": 4, "per_device_train_batch_size": 32}
    gated = settings_of("gate", **shared, **sizes, gate={"success_reward": 2})
    gate = end("gate", gated, toy_task(16), tmp_path / "gate")
    sft = end("sft", settings_of("sft", **shared, per_device_train_batch_size=16), toy_task(16), tmp_path / "sft")
    assert gate.losses == pytest.approx(sft.losses, rel=1e-4)
    assert same(gate.weights, sft.weights, trainable(tiny_policy().model))


def test_gate_with_every_prompt_solved_is_rl_bit_for_bit(tmp_path: Path) -> None:
    shared = QUICK | SAMPLING | {"max_steps": 3}
    gate = end("gate", settings_of("gate", **shared, gate={"success_reward": 0}), toy_task(16), tmp_path / "gate")
    rl = end("rl", settings_of("rl", **shared, rl={"loss_type": "dapo"}), toy_task(16), tmp_path / "rl")
    assert gate.digest == rl.digest != digest(trainable(tiny_policy().model))


def test_gate_takes_each_unsolved_demonstration_once_and_no_advantage_of_its_samples() -> None:
    policy, task = tiny_policy(), toy_task(16)
    settings = small("gate")
    trainer = sampler(GateTrainer, "gate", policy, settings, task)
    trainer.settings = settings.objective
    trainer.demonstrations = [encode_demonstration(policy.tokenizer, item) for item in task.train]
    output = sampled(trainer, [9, 4, 2, 11], 4)
    best_P = output["rewards"].view(4, 4).amax(-1)
    failed = [item for item, best in zip([9, 4, 2, 11], best_P, strict=True) if best < 0.3]
    assert 0 < len(failed) < 4
    assert [number for number in output["imitated"].tolist() if number >= 0] == failed
    advantages_PG = output["advantages"].view(4, 4)
    assert advantages_PG[best_P < 0.3].abs().max() == 0
    assert advantages_PG[best_P >= 0.3].abs().max() > 0
    # A demonstration is a letter 1 + n mod 4 times and the end: F/P over the tokens of those that are imitated.
    tokens = sum(2 + item % 4 for item in failed)
    assert output["imitation_scale"].item() == pytest.approx(len(failed) / 4 / tokens)


def test_gate_is_the_same_however_its_batch_is_dealt_out(tmp_path: Path) -> None:
    """32 samples at once, and the same 32 in four micro-batches, whose shuffling splits the groups."""
    ends = []
    for number, parts in enumerate((1, 4)):
        settings = settings_of(
            "gate",
            **PLAIN,
            **SAMPLING,
            gate={"success_reward": 0.3},
            max_steps=2,
            per_device_train_batch_size=32 // parts,
            gradient_accumulation_steps=parts,
        )
        ends.append(end("gate", settings, toy_task(16), tmp_path / str(number)))
    assert ends[0].losses == pytest.approx(ends[1].losses, rel=1e-3)
    assert same(ends[0].weights, ends[1].weights, trainable(tiny_policy().model))


def test_rl_kl_is_rl_with_a_beta(tmp_path: Path) -> None:
    shared = QUICK | SAMPLING | {"max_steps": 3}
    kinds: list[tuple[str, MethodSettings]] = [
        ("rl_kl", settings_of("rl_kl", **shared)),
        ("rl", settings_of("rl", **shared, beta=0.1)),
        ("rl", settings_of("rl", **shared)),
    ]
    digests = [
        end(method, settings, toy_task(16), tmp_path / str(number), tiny_lora_policy()).digest
        for number, (method, settings) in enumerate(kinds)
    ]
    assert digests[0] == digests[1] != digests[2]


def taught(policy: TinyPolicy, settings: MethodSettings, task: Task) -> Any:
    trainer = sampler(SdftTrainer, "sdft", policy, settings, task)
    trainer.teacher_prompts = [
        encode_prompt(policy.tokenizer, teacher_prompt(settings.objective.teacher_template, item))
        for item in task.train
    ]
    trainer.teacher = {name: tensor.float().clone() for name, tensor in trainable(policy.model).items()}
    trainer.current_gradient_accumulation_steps = 1
    return trainer


@pytest.mark.parametrize("chat", [True, False])
def test_sdft_is_the_mean_divergence_from_the_model_that_is_shown_the_answer(chat: bool) -> None:
    policy, task = tiny_policy(), toy_task(4, chat=chat)
    trainer = taught(policy, small("sdft"), task)
    output = sampled(trainer, [1, 3], 2)
    move(policy)  # the student goes on, the teacher stays
    loss = trainer._compute_loss(policy.model, output)
    teacher, total, count = tiny_policy().model, torch.zeros(()), 0
    for row, item in enumerate([1, 1, 3, 3]):
        prompt = output["prompt_ids"][row][output["prompt_mask"][row].bool()]
        answer = output["completion_ids"][row][output["completion_mask"][row].bool()]
        shown = task.train[item]
        text = shown.prompt[0]["content"] if chat else shown.prompt
        told = f"{text} like {shown.demonstration}?"
        words = f"<s><|user|>{told}<|assistant|>" if chat else told
        told_ids = torch.tensor(policy.tokenizer(words, add_special_tokens=False)["input_ids"])
        student_TV = policy.model(torch.cat([prompt, answer])[None]).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        teacher_TV = teacher(torch.cat([told_ids, answer])[None]).logits[0, len(told_ids) - 1 : -1].log_softmax(-1)
        total = total + (student_TV.exp() * (student_TV - teacher_TV)).sum()
        count += len(answer)
    assert loss.item() == pytest.approx(total.item() / count, rel=1e-3)
    assert loss.item() > 1e-4
    loss.backward()
    grads = [parameter.grad.clone() for parameter in policy.model.parameters()]
    policy.model.zero_grad()
    (total / count).backward()
    for one, other in zip(grads, policy.model.parameters(), strict=True):
        assert torch.allclose(one, other.grad, atol=1e-5)


def test_a_teacher_that_is_shown_nothing_new_teaches_nothing() -> None:
    task = toy_task(4)
    items = tuple(replace(item, demonstration="") for item in task.train)
    settings = small("sdft", sdft={"teacher_template": "{prompt}{demonstration}"})
    trainer = taught(tiny_policy(), settings, replace(task, train=items))
    assert abs(trainer._compute_loss(trainer.model, sampled(trainer, [0, 2], 2)).item()) < 1e-7


def test_the_teacher_is_the_moving_average_of_the_student() -> None:
    policy, task = tiny_policy(), toy_task(16)
    trainer = taught(policy, small("sdft", max_steps=3), task)
    steps: list[dict[str, Tensor]] = []
    average = {name: tensor.clone() for name, tensor in trainer.teacher.items()}

    class Seen(TeacherUpdate):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            steps.append({name: tensor.clone() for name, tensor in trainable(policy.model).items()})
            return control

    trainer.add_callback(Seen(trainer, 0.75))
    trainer.step_losses = StepLosses()
    trainer.train()
    for weights in steps:
        average = {name: 0.75 * average[name] + 0.25 * weights[name] for name in average}
    assert len(steps) == 3
    for name, tensor in trainer.teacher.items():
        assert torch.allclose(tensor, average[name], atol=1e-7), name
        assert tensor.dtype == torch.float32
