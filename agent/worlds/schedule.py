"""From train settings to the numbers of one update, for the worlds that train by loops of their own.

Defaults stand in the rows of the objectives (`curriculum/worlds/NAME/spec.py`).
"""

import math
from dataclasses import dataclass
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.settings import Common
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.registry import spec_of

WARMUP = {"constant": 0.0, "constant_with_warmup": 0.1, "linear": 0.1, "cosine": 0.1}
"""The schedules, by transformers' names, and the warm-up of each where none is set, as a share of all steps."""

LARGEST_RATE = 1e37
"""With a larger learning rate torch's AdamW raises; with this one weights overflow, which every enforcement sees."""


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

        The same curves as the schedules of those names in transformers, whose `constant` has no warm-up.
        """
        if step < self.warmup:
            return self.learning_rate * step / max(1, self.warmup)
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        if self.schedule == "linear":
            return self.learning_rate * max(0.0, 1 - done)
        if self.schedule == "cosine":
            return self.learning_rate * max(0.0, 0.5 * (1 + math.cos(math.pi * done)))
        return self.learning_rate


def plan_for(method: Method, settings: Common, items: int) -> Plan:
    """The numbers of an update on so many training items.

    A pass goes over all items once; an objective with `num_iterations` takes so many steps on each batch.

    Raises:
        ConfigError: an unknown schedule, or a warm-up of one that has none.
    """

    def value(name: str) -> Any:
        return default(method.objective.world, method.objective.name, settings, name)

    batch_size = min(int(value("per_device_train_batch_size")), items)
    batches = max(1, math.ceil(float(value("num_train_epochs")) * (items // batch_size)))
    steps = settings.max_steps or batches * int(value("num_iterations") or 1)
    schedule = schedule_of(settings, str(value("lr_scheduler_type")))
    _check_schedule(method, schedule, settings)
    share = WARMUP[schedule] if settings.warmup_steps is None else settings.warmup_steps
    warmup = math.ceil(share * steps) if share < 1 else int(share)
    return Plan(
        float(value("learning_rate")) * _share(settings),
        schedule,
        warmup,
        steps,
        batch_size,
        float(value("weight_decay")),
        float(value("max_grad_norm")),
    )


def schedule_of(settings: Common, default: str) -> str:
    """The schedule that is named, or else the default one; a `constant` that nobody named has the warm-up that is."""
    if settings.lr_scheduler_type is not None:
        return settings.lr_scheduler_type
    return "constant_with_warmup" if default == "constant" and settings.warmup_steps else default


def _check_schedule(method: Method, schedule: str, settings: Common) -> None:
    """Refuse an unknown schedule, and a warm-up of one that has none."""
    if schedule not in WARMUP:
        raise ConfigError(
            f"train settings of `{method.name}`: lr_scheduler_type {schedule!r} is not in the {method.objective.world} "
            f"world, which has {', '.join(WARMUP)}"
        )
    if schedule == "constant" and settings.warmup_steps:
        raise ConfigError(
            f"train settings of `{method.name}`: warmup_steps {settings.warmup_steps:g} has no effect, since "
            "lr_scheduler_type constant has no warm-up; set it to constant_with_warmup, or warmup_steps to 0"
        )


def _share(settings: Common) -> float:
    """The share of the default learning rate; one that is set has its share already (`curriculum/train.py`)."""
    share = getattr(settings, "learning_rate_share", None)
    return 1.0 if share is None or settings.learning_rate is not None else float(share)


def default(world: str, objective: str, settings: Common, name: str) -> Any:
    """A setting, or what an objective of a world does without it."""
    value = getattr(settings, name, None)
    return spec_of(world).objectives[objective].defaults.get(name) if value is None else value
