"""The methods against TRL's own trainers, and the tokens that they train on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Progress
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.methods.chord import ChordTrainer, answer_logps, pad_right
from perdure.agent.worlds.language.methods.rl import RlTrainer, build_sampler
from perdure.agent.worlds.language.trl.config import config_for
from perdure.agent.worlds.language.trl.rows import RewardMeter, demonstration_rows, prompt_rows
from perdure.agent.worlds.language.trl.sft_trainer import SftTrainer
from perdure.agent.worlds.language.trl.step_figures import StepLosses
from perdure.agent.worlds.losses import mu
from perdure.budget.errors import ModelError
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from tests.agent.worlds.language.jobs import job_of, settings_of, update
from tests.agent.worlds.language.tiny_world import TinyPolicy, tiny_lora_policy, tiny_policy
from tests.agent.worlds.language.toy import share_of_vowels, toy_task

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "max_steps": 3, "per_device_train_batch_size": 8}
SAMPLING: dict[str, Any] = {"num_generations": 4, "max_completion_length": 6}


def perdure_digest(
    method: str, settings: MethodSettings, task: Task, folder: Path, *, prefix_caching: bool = True
) -> str:
    """The weights after one of our updates."""
    policy = tiny_policy()
    policy.prefix_caching = prefix_caching
    update(job_of(method, policy, task, folder, settings))
    return digest(trainable(policy.model))


def config_of(method: str, settings: MethodSettings, folder: Path, policy: TinyPolicy) -> Any:
    return config_for(job_of(method, policy, toy_task(16), folder, settings))


@pytest.mark.parametrize("chat", [True, False])
def test_sft_equals_bare_trl(chat: bool, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    task, policy = toy_task(16, chat=chat), tiny_policy()
    config = SFTConfig(
        output_dir=str(tmp_path),
        seed=5,
        learning_rate=3e-3,
        max_steps=3,
        per_device_train_batch_size=8,
        lr_scheduler_type="constant_with_warmup",
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        save_strategy="no",
    )
    rows = [
        {
            "prompt": item.prompt,
            "completion": [{"role": "assistant", "content": item.demonstration}] if chat else item.demonstration,
        }
        for item in task.train
    ]
    SFTTrainer(
        model=policy.model, args=config, train_dataset=Dataset.from_list(rows), processing_class=policy.tokenizer
    ).train()
    ours = perdure_digest("sft", settings_of("sft", **QUICK), task, tmp_path / "ours")
    assert ours == digest(trainable(policy.model)) != digest(trainable(tiny_policy().model))


@pytest.mark.parametrize("entropy_coef", [0.0, 0.5])
def test_rl_equals_bare_trl(entropy_coef: float, tmp_path: Path) -> None:
    from trl import GRPOConfig, GRPOTrainer

    task, policy = toy_task(16), tiny_policy()

    def reward(prompts: Any, completions: Any, answer: Any, **_: Any) -> list[float | None]:
        return share_of_vowels([], [completion[0]["content"] for completion in completions])

    config = GRPOConfig(
        output_dir=str(tmp_path),
        seed=5,
        learning_rate=3e-3,
        max_steps=3,
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=6,
        loss_type="dr_grpo",
        scale_rewards="none",
        entropy_coef=entropy_coef,
        lr_scheduler_type="constant_with_warmup",
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        save_strategy="no",
    )
    rows = Dataset.from_list([{"prompt": item.prompt, "answer": item.answer} for item in task.train])
    GRPOTrainer(
        model=policy.model, args=config, reward_funcs=reward, train_dataset=rows, processing_class=policy.tokenizer
    ).train()
    settings = settings_of("rl", **QUICK, **SAMPLING, rl={"entropy_coef": entropy_coef})
    ours = perdure_digest("rl", settings, task, tmp_path / "ours", prefix_caching=False)
    assert ours == digest(trainable(policy.model)) != digest(trainable(tiny_policy().model))


def test_chord_without_imitation_is_rl_with_a_token_mean(tmp_path: Path) -> None:
    task = toy_task(16)
    mixed = settings_of("chord", **QUICK, **SAMPLING, chord={"mu_start": 0, "mu_end": 0})
    by_token = settings_of("rl", **QUICK, **SAMPLING, rl={"loss_type": "dapo"})
    chord = perdure_digest("chord", mixed, task, tmp_path / "chord")
    rl = perdure_digest("rl", by_token, task, tmp_path / "rl")
    assert chord == rl


@pytest.mark.parametrize("chat", [True, False])
def test_demonstrations_are_the_tokens_of_trl_and_end_with_the_end_of_turn(chat: bool, tmp_path: Path) -> None:
    task, policy = toy_task(6, chat=chat), tiny_policy()
    trainer = SftTrainer(
        model=policy.model,
        args=config_of("sft", settings_of("sft"), tmp_path, policy),
        train_dataset=Dataset.from_list(demonstration_rows(task.train)),
        processing_class=policy.tokenizer,
    )
    for row, item in zip(trainer.train_dataset, task.train, strict=True):
        ids, start = encode_demonstration(policy.tokenizer, item)
        assert row["input_ids"] == ids
        assert row["labels"] == [-100] * start + ids[start:]
        assert policy.tokenizer.decode(ids[start:]) == f"{item.demonstration}<|end|>"
        assert ids[start - 1] == policy.tokenizer.convert_tokens_to_ids("<|assistant|>" if chat else item.prompt[-1])


def test_sampling_stops_at_the_end_of_turn(tmp_path: Path) -> None:
    """The completions that the reward sees hold the end token last or, cut off at 40 tokens, not at all."""
    seen: list[list[int]] = []

    def reward(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        seen.extend(completion_ids)
        return [0.0] * len(items)

    task, policy = Task("toy", toy_task(16).train, (), reward), tiny_policy()
    settings = settings_of("rl", **(QUICK | SAMPLING | {"max_completion_length": 40}))
    update(job_of("rl", policy, task, tmp_path, settings, watch=lambda progress: True))
    end = policy.tokenizer.eos_token_id
    assert len(seen) == 8
    ended = [ids for ids in seen if end in ids]
    assert ended  # 40 draws of 1/49 each: a completion ends with probability 0.56
    assert all(ids.index(end) == len(ids) - 1 for ids in ended)
    assert all(len(ids) == 40 for ids in seen if end not in ids)


def chord_trainer(policy: TinyPolicy, settings: MethodSettings, folder: Path) -> ChordTrainer:
    """A trainer as `chord.update` makes it."""
    task = toy_task(16)
    meter = RewardMeter(share_of_vowels, task.train)
    trainer: ChordTrainer = build_sampler(
        ChordTrainer, policy, task, config_of("chord", settings, folder, policy), meter
    )
    trainer.settings = settings.objective
    trainer.demonstrations = [encode_demonstration(policy.tokenizer, item) for item in task.train]
    return trainer


def test_the_two_ways_to_the_answers_log_probabilities_agree(tmp_path: Path) -> None:
    policy = tiny_policy()
    trainer = chord_trainer(policy, settings_of("chord"), tmp_path)
    ids_BT, labels_BT, mask_BT = pad_right(trainer.demonstrations[:5], policy.tokenizer.pad_token_id)
    fused, plain = (answer_logps(policy.model, ids_BT, labels_BT, mask_BT, fused=way) for way in (True, False))
    assert torch.allclose(fused, plain, atol=1e-6)
    # Alone, without padding, the first demonstration has the same log-probabilities.
    ids, start = trainer.demonstrations[0]
    logits_TV = policy.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    alone = [logits_TV[place - 1, ids[place]].item() for place in range(start, len(ids))]
    assert plain[0, start - 1 : len(ids) - 1].tolist() == pytest.approx(alone, abs=1e-5)
    assert plain[0].count_nonzero() == len(alone)
    grads = []
    for logps in (fused, plain):
        policy.model.zero_grad()
        logps.sum().backward()
        grads.append(policy.model.model.embed_tokens.weight.grad.clone())
    assert grads[0].abs().sum() > 0
    assert torch.allclose(*grads, atol=1e-5)


def test_accumulation_spreads_the_imitation_term_and_changes_nothing(tmp_path: Path) -> None:
    policy = tiny_policy()
    trainer = chord_trainer(policy, settings_of("chord", chord={"sft_batch_size": 5}), tmp_path)
    trainer.state.max_steps = 10
    terms = []
    for batches in (1, 3, 7):  # the last two of 7 get no demonstration
        trainer.current_gradient_accumulation_steps, trainer._micro = batches, (-1, 0)
        shares = [trainer._next_share() for _ in range(batches)]
        assert sorted(one for chosen, _ in shares for one in chosen) == sorted(shares[0][0]) or batches > 1
        terms.append(sum(trainer.imitation(policy.model, share).item() for share in shares))
    assert terms == pytest.approx([terms[0]] * 3, rel=1e-5)
    assert terms[0] > 0
    assert trainer.weight(5) == mu(5, start=0.9, end=0.05, decay_steps=10)


def test_chord_loss_is_what_its_terms_add_up_to(tmp_path: Path) -> None:
    """The first step's loss with mu = 1/2 is the mean of those with mu = 0 and mu = 1."""
    losses = []
    for number, weight in enumerate((0.0, 1.0, 0.5)):
        seen: list[Progress] = []
        own = {"mu_start": weight, "mu_end": weight, "phi": False}
        settings, folder = settings_of("chord", **QUICK, **SAMPLING, chord=own), tmp_path / str(number)
        watch = lambda progress, seen=seen: bool(seen.append(progress)) or True  # noqa: E731
        update(job_of("chord", tiny_policy(), toy_task(16), folder, settings, watch=watch))
        losses.append(seen[0].loss or 0.0)
    assert losses[2] == pytest.approx((losses[0] + losses[1]) / 2, rel=1e-5)
    assert losses[1] == pytest.approx(3.9, abs=0.3)  # imitation by a random model over 49 tokens: ln 49 = 3.89


def test_the_reference_of_beta_is_the_base_and_no_second_adapter_stays(tmp_path: Path) -> None:
    """With one adapter that is not the base, the KL term pulls from the very first step."""
    policy = tiny_lora_policy()
    meter = RewardMeter(share_of_vowels, toy_task(16).train)
    settings = settings_of("rl", **QUICK, **SAMPLING, beta=0.1, trl={"logging_steps": 1})
    trainer = build_sampler(RlTrainer, policy, toy_task(16), config_of("rl", settings, tmp_path, policy), meter)
    assert list(policy.model.peft_config) == ["default"]
    assert policy.model.active_adapter == "default"
    trainer.step_losses = StepLosses()
    trainer.train()
    kls = [row["kl"] for row in trainer.state.log_history if "kl" in row]
    assert len(kls) == 3
    assert min(kls) > 1e-6
    assert not any("ref" in name for name, _ in policy.model.named_parameters())


def test_beta_without_a_base_to_load_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a second time, and this policy has no `load_base`: give it"):
        perdure_digest("rl", settings_of("rl", **QUICK, **SAMPLING, beta=0.1), toy_task(16), tmp_path)


@pytest.mark.parametrize("in_float32", [False, True])
def test_beta_uses_the_base_that_was_loaded_whatever_the_model_is_called(tmp_path: Path, in_float32: bool) -> None:
    """By name there is another model, as where the base was loaded at a `revision`: TRL would take that one."""
    from transformers import AutoModelForCausalLM

    tiny_policy(seed=1).model.save_pretrained(tmp_path / "by-name")
    policy = TinyPolicy(
        AutoModelForCausalLM.from_pretrained(tmp_path / "by-name"),
        tiny_policy().tokenizer,
        load_base=lambda: tiny_policy().model,
    )
    meter = RewardMeter(share_of_vowels, toy_task(16).train)
    extra = {"logging_steps": 1, "cast_lm_head_to_fp32": in_float32}
    config = config_of("rl", settings_of("rl", **QUICK, **SAMPLING, beta=0.1, trl=extra), tmp_path, policy)
    trainer = build_sampler(RlTrainer, policy, toy_task(16), config, meter)
    reference = trainable(trainer.ref_model)
    assert all(torch.equal(reference[name], tensor) for name, tensor in trainable(tiny_policy().model).items())
    assert trainer.beta == config.beta == 0.1
    trainer.train()
    assert min(row["kl"] for row in trainer.state.log_history if "kl" in row) > 1e-3  # two models of different seeds


def test_rows_lead_back_to_their_items() -> None:
    task = toy_task(3)
    rows = prompt_rows(task.train)
    meter = RewardMeter(lambda items, texts, ids=None: [float(task.train.index(item)) for item in items], task.train)
    given = meter(completions=["", "", ""], completion_ids=[[], [], []], item=[rows[2]["item"], 0, rows[1]["item"]])
    assert given == [2.0, 0.0, 1.0]
    assert meter.mean() == 1.0
    assert meter.mean() == 1.0  # nothing sampled since: the last again
