"""CHORD (arXiv 2508.11408): `(1 - mu) · GRPO + mu · SFT`, with mu falling by a half cosine.

Both terms are means over the same images of a step. With `phi` each demonstrated label is weighted by p(1 - p).
"""

from collections.abc import Callable

from torch import Tensor

from perdure.agent.worlds.losses import mu, token_weights
from perdure.agent.worlds.vision.losses import cross_entropy
from perdure.agent.worlds.vision.methods import rl, sft
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.task_tensors import Rows, StepIndex, TaskTensors
from perdure.curriculum.worlds.vision.spec import VisionChord


def begin_pass(
    tensors: TaskTensors, settings: VisionChord, rngs: Rngs, log_MNC: Callable[[], Tensor], before: Rows
) -> Rows:
    """One label an image, drawn by the writer."""
    return {"targets": sft.demonstrations(tensors, rngs)}


def loss(
    log_MBC: Tensor, rows: Rows, settings: VisionChord, rngs: Rngs, index: StepIndex
) -> tuple[Tensor, Tensor | None]:
    """The weighted sum of the two terms."""
    weight = mu(
        index.step,
        start=settings.mu_start,
        end=settings.mu_end,
        decay_steps=settings.mu_decay_steps or index.steps,
    )
    targets_MBC = rows["targets"] * token_weights(log_MBC) if settings.phi else rows["targets"]
    rl_M, reward_M = rl.loss(log_MBC, rows, settings, rngs, index)
    return (1 - weight) * rl_M + weight * cross_entropy(log_MBC, targets_MBC), reward_M
