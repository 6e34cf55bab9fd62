"""From train settings to the numbers of one update: defaults, steps, and the learning rate at each of them.

The defaults and their reasons stand in `curriculum/worlds/vision/spec.py`.
"""

import math
from dataclasses import dataclass
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.settings import Common
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.registry import spec_of
from perdure.curriculum.worlds.vision.spec import VISION_DEFAULTS

WARMUP = {"constant": 0.0, "constant_with_warmup": 0.1, "linear": 0.1, "cosine": 0.1}
"""The schedules, by transformers' names, and the warm-up of each where none is set, as a share of all steps."""


@dataclass(frozen=True)
class Plan:
    """The numbers of one model's update."""

    learning_rate: float
    schedule: str
    warmup: int
    steps: int
    batch_size: int
    weight_decay: float
    max_grad_norm: float

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0: linear warm-up, then constant, or down to 0 by a line or half a cosine.

        The same curves as the schedules of those names in transformers.
        """
        if step < self.warmup:
            return self.learning_rate * step / max(1, self.warmup)
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        if self.schedule == "linear":
            return self.learning_rate * max(0.0, 1 - done)
        if self.schedule == "cosine":
            return self.learning_rate * max(0.0, 0.5 * (1 + math.cos(math.pi * done)))
        return self.learning_rate


def plan_for(method: Method, settings: Common, images: int) -> Plan:
    """The numbers of an update on `images` images.

    Raises:
        ConfigError: an unknown schedule.
    """
    values = {name: default(method.objective.name, settings, name) for name in VISION_DEFAULTS}
    batch_size = min(int(values["per_device_train_batch_size"]), images)
    steps = settings.max_steps or max(1, math.ceil(float(values["num_train_epochs"]) * (images // batch_size)))
    schedule = str(values["lr_scheduler_type"])
    if schedule not in WARMUP:
        raise ConfigError(
            f"train settings of `{method.name}`: lr_scheduler_type {schedule!r} is not in the vision world, which has "
            f"{', '.join(WARMUP)}"
        )
    share = WARMUP[schedule] if settings.warmup_steps is None else settings.warmup_steps
    warmup = math.ceil(share * steps) if share < 1 else int(share)
    return Plan(
        float(values["learning_rate"]) * _share(settings),
        schedule,
        warmup,
        steps,
        batch_size,
        float(values["weight_decay"]),
        float(values["max_grad_norm"]),
    )


def _share(settings: Common) -> float:
    """The share of the default learning rate; one that is set has its share already (`curriculum/train.py`)."""
    share = getattr(settings, "learning_rate_share", None)
    return 1.0 if share is None or settings.learning_rate is not None else float(share)


def default(objective: str, settings: Common, name: str) -> Any:
    """A setting, or what the objective does without it."""
    value = getattr(settings, name, None)
    return spec_of("vision").objectives[objective].defaults.get(name) if value is None else value
