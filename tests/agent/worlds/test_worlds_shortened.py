"""A stage without the steps that its trials took, in both worlds: its length, and the schedule over it."""

from typing import Any

import pytest

from perdure.agent.worlds.registry import shortened, stage_steps
from perdure.agent.worlds.schedule import plan_for
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.registry import spec_of

MODELS: dict[str, dict[str, Any]] = {
    "vision": {"model": {"type": "mlp"}, "task": {"type": "images", "images": "digits", "rule": "parity"}},
    "language": {"model": {"model_name_or_path": "x"}, "task": {"type": "python", "path": "m:f"}},
}


def curriculum(world: str, **train: Any) -> Curriculum:
    about = MODELS[world]
    return Curriculum.model_validate(
        {
            "model": about["model"],
            "budget": {"kl": 1.0},
            "strategy": {"type": "probe"},
            "train": train,
            "stages": [{"name": "only", "task": about["task"]}],
        }
    )


@pytest.mark.parametrize("train", [{"num_train_epochs": 2}, {"max_steps": 40}])
@pytest.mark.parametrize("world", ["vision", "language"])
def test_every_method_makes_so_many_steps_less(world: Any, train: dict[str, Any]) -> None:
    config = curriculum(world, per_device_train_batch_size=8, num_generations=4, **train)
    for name in spec_of(world).names:
        method = config.method(name)
        settings = settings_for(method, config.train, config.stages[0].train).objective
        whole = stage_steps(config, method, settings, 256)
        less = shortened(config, method, settings, 256, 7)
        assert stage_steps(config, method, less, 256) == whole - 7
        assert shortened(config, method, settings, 256, 0) is settings
        assert stage_steps(config, method, shortened(config, method, settings, 256, 0, fixed=True), 99) == whole
        # one step is left at least
        assert stage_steps(config, method, shortened(config, method, settings, 256, whole), 256) == 1


def test_the_schedule_is_that_of_the_shorter_stage() -> None:
    config = curriculum("vision", max_steps=40, lr_scheduler_type="linear", learning_rate=1.0)
    sft = config.method("sft")
    settings = settings_for(sft, config.train, config.stages[0].train).objective
    plan = plan_for(sft, shortened(config, sft, settings, 256, 10), 256)
    # a warm-up over a tenth of 30 steps, and from there down to 0 over the other 27
    assert (plan.steps, plan.warmup) == (30, 3)
    assert plan.rate(3) == 1.0 and plan.rate(29) == pytest.approx(1 / 27)
