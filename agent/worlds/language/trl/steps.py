"""The number of optimiser steps that TRL makes in a stage, from its settings."""

import math
from pathlib import Path
from typing import Any

from perdure.agent.worlds.language.trl.config import build_config, samples
from perdure.budget import ranks
from perdure.curriculum.worlds.methods import Method


def count_steps(method: Method, settings: Any, items: int) -> int:
    """The steps on a task with so many training items.

    A step has a batch of each process. A pass of a method that samples is over when every prompt was asked once, whole
    rounds only; each round of samples is used for `steps_per_generation` steps before accumulation, `num_iterations`
    times over. A pass of the others ends with a batch that may be smaller. `replay`, whose pass has items of earlier
    stages too, makes a few steps more.

    Raises:
        ConfigError: settings that TRL refuses.
    """
    config = build_config(method, settings, folder=Path(), seed=0, device_type="cpu", autocast="None")
    if config.max_steps > 0:
        return int(config.max_steps)
    if samples(method):
        rounds: int = items // (config.generation_batch_size // config.num_generations)
        batches = rounds * config.steps_per_generation * config.num_iterations
    else:
        batches = math.ceil(math.ceil(items / config.per_device_train_batch_size) / ranks.count())
    a_pass: int = max(1, math.ceil(batches / int(config.gradient_accumulation_steps)))
    return max(1, math.ceil(float(config.num_train_epochs) * a_pass))
