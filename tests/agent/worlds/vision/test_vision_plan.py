"""Steps and learning rates of an update."""

import pytest
import torch
from transformers import get_scheduler

from perdure.agent.worlds.schedule import plan_for
from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.vision.spec import VISION, VisionRl, VisionSft

SFT, RL = VISION.method("sft"), VISION.method("rl")


def test_an_epoch_is_as_many_steps_as_there_are_whole_batches() -> None:
    # 1000 // 64 = 15 batches; 2 epochs are 30 steps
    assert plan_for(SFT, VisionSft(num_train_epochs=2), 1000).steps == 30
    assert plan_for(SFT, VisionSft(num_train_epochs=2, max_steps=7), 1000).steps == 7
    assert plan_for(SFT, VisionSft(), 10).batch_size == 10


@pytest.mark.parametrize("schedule", ["constant_with_warmup", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0, 5])
def test_schedules_are_those_of_transformers(schedule: str, warmup: int) -> None:
    settings = VisionRl(learning_rate=0.5, max_steps=20, lr_scheduler_type=schedule, warmup_steps=warmup)
    plan = plan_for(RL, settings, 1000)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    known = get_scheduler(schedule, optimizer, num_warmup_steps=warmup, num_training_steps=20)
    for step in range(20):
        assert plan.rate(step) == pytest.approx(known.get_last_lr()[0])
        optimizer.step()
        known.step()


def test_constant_has_no_warm_up_and_cosine_a_tenth() -> None:
    settings = VisionRl(learning_rate=0.5, max_steps=8, lr_scheduler_type="constant")
    assert [plan_for(RL, settings, 1000).rate(step) for step in range(8)] == [0.5] * 8
    with pytest.raises(ConfigError, match=r"warmup_steps 5 has no effect, since .* set it to constant_with_warmup, or"):
        plan_for(RL, settings.model_copy(update={"warmup_steps": 5}), 1000)
    assert plan_for(SFT, VisionSft(max_steps=100), 1000).warmup == 0
    assert plan_for(SFT, VisionSft(max_steps=100, lr_scheduler_type="cosine"), 1000).warmup == 10


def test_a_warm_up_without_a_schedule_is_that_of_a_constant_one() -> None:
    plan = plan_for(RL, VisionRl(learning_rate=0.5, max_steps=8, warmup_steps=5), 1000)
    # a fifth of 0.5 more a step, from nothing
    assert [plan.rate(step) for step in range(8)] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5])
    assert plan_for(RL, VisionRl(max_steps=8, warmup_steps=0), 1000).schedule == "constant"


def test_a_schedule_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="polynomial"):
        plan_for(SFT, VisionSft(lr_scheduler_type="polynomial"), 1000)
