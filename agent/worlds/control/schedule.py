"""From train settings to the numbers of one update. The defaults stand in `curriculum/worlds/control/spec.py`."""

import math
from dataclasses import dataclass
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.settings import Common
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.registry import spec_of

WARMUP = {"constant": 0.0, "constant_with_warmup": 0.1, "linear": 0.1, "cosine": 0.1}


@dataclass(frozen=True)
class Plan:
    """The numbers of one update."""

    learning_rate: float
    schedule: str
    warmup: int
    steps: int
    batch_size: int
    weight_decay: float
    max_grad_norm: float

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0, by the schedules of those names in transformers."""
        if step < self.warmup:
            return self.learning_rate * step / max(1, self.warmup)
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        if self.schedule == "linear":
            return self.learning_rate * max(0.0, 1 - done)
        if self.schedule == "cosine":
            return self.learning_rate * max(0.0, 0.5 * (1 + math.cos(math.pi * done)))
        return self.learning_rate


def plan_for(method: Method, settings: Common, items: int) -> Plan:
    """The numbers of an update on so many starts.

    Raises:
        ConfigError: an unknown schedule.
    """
    name = method.objective.name
    batch_size = min(int(default(name, settings, "per_device_train_batch_size")), items)
    passes = float(default(name, settings, "num_train_epochs"))
    repeats = int(default(name, settings, "num_iterations") or 1)
    steps = settings.max_steps or max(1, math.ceil(passes * (items // batch_size))) * repeats
    schedule = str(default(name, settings, "lr_scheduler_type"))
    if schedule not in WARMUP:
        raise ConfigError(
            f"train settings of `{method.name}`: lr_scheduler_type {schedule!r} is not in the control world, which has "
            f"{', '.join(WARMUP)}"
        )
    share = WARMUP[schedule] if settings.warmup_steps is None else settings.warmup_steps
    return Plan(
        float(default(name, settings, "learning_rate")) * _share(settings),
        schedule,
        math.ceil(share * steps) if share < 1 else int(share),
        steps,
        batch_size,
        float(default(name, settings, "weight_decay")),
        float(default(name, settings, "max_grad_norm")),
    )


def _share(settings: Common) -> float:
    share = getattr(settings, "learning_rate_share", None)
    return 1.0 if share is None or settings.learning_rate is not None else float(share)


def default(objective: str, settings: Common, name: str) -> Any:
    """A setting, or what the objective does without it."""
    value = getattr(settings, name, None)
    return spec_of("control").objectives[objective].defaults.get(name) if value is None else value
