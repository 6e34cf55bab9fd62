"""SimPO (arXiv 2405.14734): an offline method that learns from right and wrong answers of the base.

Each image has one pair, drawn once before the first step: a right label and a wrong one, from what the base says,
restricted to the right and to the wrong labels. Departure: with a language model such a pair comes from sampling until
both kinds are found; with ten classes the restricted distributions are drawn from exactly.
"""

from collections.abc import Callable

from torch import Tensor

from perdure.agent.worlds.vision.losses import simpo
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.schedule import default
from perdure.agent.worlds.vision.task_tensors import Rows, StepIndex, TaskTensors
from perdure.curriculum.worlds.vision.spec import Simpo


def begin_pass(tensors: TaskTensors, settings: Simpo, rngs: Rngs, log_MNC: Callable[[], Tensor], before: Rows) -> Rows:
    """The pairs, drawn in the first pass and kept."""
    if before:
        return before
    base_1NC = tensors.base_log_1NC.exp()
    return {
        "chosen": rngs.labels(base_1NC * tensors.correct_NC, 1)[..., 0],
        "rejected": rngs.labels(base_1NC * (1 - tensors.correct_NC), 1)[..., 0],
    }


def loss(log_MBC: Tensor, rows: Rows, settings: Simpo, rngs: Rngs, index: StepIndex) -> tuple[Tensor, Tensor | None]:
    """SimPO's loss, with TRL's names for its two constants."""
    beta, gamma = (float(default("simpo", settings, name)) for name in ("beta", "simpo_gamma"))
    return simpo(log_MBC, rows["chosen"], rows["rejected"], beta=beta, gamma=gamma), None
