"""A stage learns the same where each prompt is computed once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from perdure.agent.weights import trainable
from perdure.agent.worlds.language.methods.rl import RlTrainer
from tests.agent.worlds.language.jobs import job_of, settings_of, update
from tests.agent.worlds.language.on_policy import PLAIN, move, sampled, sampler
from tests.agent.worlds.language.tiny_world import (
    TinyPolicy,
    tiny_lora_policy,
    tiny_policy,
)
from tests.agent.worlds.language.toy import toy_task


@pytest.mark.parametrize("method", ["rl", "tilt", "chord", "gate", "sdft"])
@pytest.mark.parametrize("adapter", [False, True])
def test_a_stage_learns_the_same(method: str, adapter: bool, tmp_path: Path) -> None:
    if adapter and method in ("chord", "gate"):
        pytest.skip("the sampling and scoring are those of `rl`")
    found = []
    for share in (False, True):
        policy = tiny_lora_policy() if adapter else tiny_policy()
        policy.prefix_caching = share
        if not adapter:
            policy.load_base = lambda: tiny_policy().model
            move(policy)
        start = {name: tensor.clone() for name, tensor in trainable(policy.model).items()}
        figures: list[Any] = []
        settings = settings_of(
            method, max_steps=1, num_generations=4, per_device_train_batch_size=16, max_completion_length=5, **PLAIN
        )

        def watch(progress: Any, figures: list[Any] = figures) -> bool:
            figures.append((progress.loss, progress.reward, progress.entropy or 0.0))
            return False

        update(job_of(method, policy, toy_task(16), tmp_path / str(share), settings, watch=watch))
        found.append((start, dict(trainable(policy.model)), figures))
    (start, apart, figures), (_, shared, again) = found
    moved = max((apart[name] - start[name]).abs().max().item() for name in apart)
    assert moved > 1e-4
    assert max((apart[name] - shared[name]).abs().max().item() for name in apart) <= 1e-3 * moved
    for one, other in zip(figures[0], again[0], strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-7)


def gradient(policy: TinyPolicy, share: bool, alive: list[int], trainer_class: Any = RlTrainer) -> dict[str, Tensor]:
    """The gradient of a batch of 12 rows of which these have an advantage."""
    policy.prefix_caching = share
    settings = settings_of("rl", num_generations=4, per_device_train_batch_size=12, max_completion_length=5)
    trainer = sampler(trainer_class, "rl", policy, settings, toy_task(16))
    inputs = sampled(trainer, [0, 1, 2], 4)
    inputs["advantages"] = torch.zeros(12)
    inputs["advantages"][alive] = torch.linspace(-1, 1, len(alive))
    trainer.current_gradient_accumulation_steps = 1
    trainer._compute_loss(trainer.model, inputs).backward()
    return {name: tensor.grad.clone() for name, tensor in policy.model.named_parameters() if tensor.requires_grad}


class Whole(RlTrainer):
    """A trainer that takes a backward pass for every row."""

    @property
    def idle_B(self) -> None:  # type: ignore[override]
        """No row."""

    @idle_B.setter
    def idle_B(self, idle_B: Tensor | None) -> None:
        pass


@pytest.mark.parametrize("share", [False, True])
def test_rows_without_an_advantage_change_no_gradient(share: bool) -> None:
    for alive in ([0, 1, 2, 3], [5, 6], []):
        lean = gradient(tiny_policy(), share, alive)
        whole = gradient(tiny_policy(), share, alive, Whole)
        assert bool(alive) == any(bool(tensor.any()) for tensor in lean.values())
        for name, tensor in whole.items():
            torch.testing.assert_close(lean[name], tensor, rtol=1e-4, atol=1e-7)
