"""CHORD (arXiv 2508.11408): `(1 - mu) · GRPO + mu · SFT`, with mu falling by a half cosine.

Both terms are means over the same images of a step. With `phi` each demonstrated label is weighted by p(1 - p).
"""

from collections.abc import Callable

from torch import Tensor

from perdure.agent.worlds.losses import mu
from perdure.agent.worlds.vision.draws import Draws
from perdure.agent.worlds.vision.lesson import Lesson, Moment, Rows
from perdure.agent.worlds.vision.losses import cross_entropy, token_weights
from perdure.agent.worlds.vision.methods import rl, sft
from perdure.curriculum.worlds.vision.settings import VisionChord


def begin_pass(
    lesson: Lesson, settings: VisionChord, draws: Draws, log_MNC: Callable[[], Tensor], before: Rows
) -> Rows:
    """One label an image, drawn by the writer."""
    return {"targets": sft.demonstrations(lesson, draws)}


def loss(
    log_MBC: Tensor, rows: Rows, settings: VisionChord, draws: Draws, moment: Moment
) -> tuple[Tensor, Tensor | None]:
    """The weighted sum of the two terms."""
    weight = mu(
        moment.step,
        start=settings.mu_start,
        end=settings.mu_end,
        decay_steps=settings.mu_decay_steps or moment.steps,
    )
    targets_MBC = rows["targets"] * token_weights(log_MBC) if settings.phi else rows["targets"]
    rl_M, reward_M = rl.loss(log_MBC, rows, settings, draws, moment)
    return (1 - weight) * rl_M + weight * cross_entropy(log_MBC, targets_MBC), reward_M
