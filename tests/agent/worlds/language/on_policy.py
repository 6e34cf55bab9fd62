"""Trainers of methods that sample, their samples, and policies away from their base, for tests."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch
from torch import Tensor

from perdure.agent.weights import trainable
from perdure.agent.worlds.language.methods.rl import build_sampler
from perdure.agent.worlds.language.trl.config import build_config
from perdure.agent.worlds.language.trl.rows import RewardMeter
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from tests.agent.worlds.language.jobs import method_of
from tests.agent.worlds.language.tiny_world import TinyPolicy
from tests.agent.worlds.language.toy import share_of_vowels

PLAIN: dict[str, Any] = {"learning_rate": 0.1, "warmup_steps": 0, "max_grad_norm": 0, "trl": {"optim": "sgd"}}
"""A step is the gradient times 0.1, so that weights show gradients."""


def move(policy: TinyPolicy, scale: float = 0.02) -> None:
    """Take the policy away from its base."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in trainable(policy.model).values():
            tensor.add_(scale * torch.randn(tensor.shape, generator=generator))


def sampler(trainer_class: Any, method: str, policy: TinyPolicy, settings: MethodSettings, task: Task) -> Any:
    """A trainer of the method, in training mode."""
    objective = settings.objective
    config = build_config(
        method_of(method), objective, folder=Path(gettempdir()), seed=5, device_type="cpu", autocast="None"
    )
    trainer = build_sampler(
        trainer_class, policy, task, config, RewardMeter(task.reward or share_of_vowels, task.train)
    )
    trainer.model.train()
    return trainer


def sampled(trainer: Any, items: Sequence[int], generations: int) -> dict[str, Any]:
    """A window of samples of these items."""
    rows = [{"prompt": trainer.train_dataset[item]["prompt"], "item": item} for item in items]
    torch.manual_seed(11)
    output: dict[str, Any] = trainer._generate_and_score_completions([row for row in rows for _ in range(generations)])
    return output


def answer_logp(model: Any, output: dict[str, Any], row: int) -> Tensor:
    """ln π(y|x) of one row without padding or a fused head."""
    prompt = output["prompt_ids"][row][output["prompt_mask"][row].bool()]
    answer = output["completion_ids"][row][output["completion_mask"][row].bool()]
    logits_TV = model(torch.cat([prompt, answer])[None]).logits[0, len(prompt) - 1 : -1]
    logps: Tensor = logits_TV.log_softmax(-1).gather(-1, answer[:, None]).sum()
    return logps


def same(one: dict[str, Tensor], other: dict[str, Tensor], start: dict[str, Tensor]) -> bool:
    """Whether two updates moved the weights alike, to a hundredth of how far they moved them."""
    moved = max((one[name] - start[name]).abs().max().item() for name in one)
    return moved > 1e-4 and all((one[name] - other[name]).abs().max() < moved / 100 for name in one)
