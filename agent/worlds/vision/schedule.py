"""From train settings to the numbers of one update: defaults, steps, and the learning rate at each of them.

RL's Razor (arXiv 2509.04259) says of its toy only the learning rates, the two schedules and the epochs. The rest is
chosen here: AdamW without weight decay and without clipping, as in its language-model experiments but for the clipping;
64 images a step, so that a pass over a few thousand images has some fifty steps; groups of 8 samples, of ten possible
answers; a warm-up over a tenth of the steps for `cosine`, none for `constant`, which is what those names mean in
transformers once `warmup_steps` is left at its default here.
"""

import math
from dataclasses import dataclass
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.settings import Common, LowLrSftTrain
from perdure.curriculum.worlds.contract import Method

SHARED: dict[str, Any] = {
    "learning_rate": 1e-4,
    "num_train_epochs": 1.0,
    "per_device_train_batch_size": 64,
    "lr_scheduler_type": "constant",
    "weight_decay": 0.0,
    "max_grad_norm": 0.0,
}
SAMPLING: dict[str, Any] = {"num_generations": 8, "scale_rewards": "none", "beta": 0.0}
DEFAULTS: dict[Method, dict[str, Any]] = {
    "sft": SHARED,
    "rl": SHARED | SAMPLING,
    "chord": SHARED | SAMPLING,
    "reinforce": SHARED | SAMPLING,
    "simpo": SHARED | {"beta": 2.0, "simpo_gamma": 1.0},
    "tilt": SHARED | {"num_generations": 8, "samples_from": "policy"},
    "gate": SHARED | SAMPLING,
    "rl_kl": SHARED | SAMPLING | {"beta": 0.1},
    "eaft": SHARED,
    "sft_kl": SHARED | {"beta": 0.1},
    "low_lr_sft": SHARED,
    "replay": SHARED,
    "ewc": SHARED | {"ewc_lambda": 1000.0},
    "l2": SHARED | {"l2_lambda": 0.1},
    "lora": SHARED,
}
"""What each method does where the settings say nothing. SimPO's two constants are within its paper's own range.

The weights of `ewc` and `l2` come from one look at the shipped stream (seed 100, `writer: two` in all four stages, SFT
at 3e-4 for two passes; average accuracy / forgetting / benchmark drop). SFT: .694 / .243 / .443. `ewc_lambda`
100: .695 / .243 / .427, 1e3: .702 / .206 / .367, 1e4: .692 / .066 / .278, 1e5: .636 / .010 / .180. `l2_lambda` 0.01:
.703 / .232 / .388, 0.1: .697 / .200 / .344, 1: .666 / .038 / .293. Each is the largest whose average accuracy is within
a standard error (.007) of the best: what is held more forgets less and learns less.
"""

WARMUP = {"constant": 0.0, "constant_with_warmup": 0.1, "linear": 0.1, "cosine": 0.1}
"""The schedules, by transformers' names, and the warm-up of each where none is set, as a share of all steps."""


@dataclass(frozen=True)
class Plan:
    """How one model is trained."""

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
        ConfigError: a schedule that there is not.
    """
    values = {name: default(method, settings, name) for name in SHARED}
    batch_size = min(int(values["per_device_train_batch_size"]), images)
    steps = settings.max_steps or max(1, math.ceil(float(values["num_train_epochs"]) * (images // batch_size)))
    schedule = str(values["lr_scheduler_type"])
    if schedule not in WARMUP:
        raise ConfigError(
            f"train settings of `{method}`: lr_scheduler_type {schedule!r} is not in the vision world, which has "
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
    """Of the default learning rate; one that is set has its share already (`perdure.curriculum.train.settings_for`)."""
    if isinstance(settings, LowLrSftTrain) and settings.learning_rate is None:
        return settings.learning_rate_share
    return 1.0


def default(method: Method, settings: Common, name: str) -> Any:
    """A setting, or what the method does without it."""
    value = getattr(settings, name, None)
    return DEFAULTS[method].get(name) if value is None else value
