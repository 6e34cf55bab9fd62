"""Supervised fine-tuning on a writer's labels.

With the writers `one` and `two` it is SFT-1 and SFT-2 of RL's Razor (arXiv 2509.04259), with `oracle` its SFT on the
KL-minimal correct distribution. The paper prints that distribution as argmin KL(π0‖q), which is infinite for every q
without mass on wrong answers; labels are drawn from q* ∝ π0·R, the I-projection, which is unambiguous.

A writer with a choice draws afresh in every pass (`redraw: false` keeps the first draw): the paper goes over 60,000
images once or twice, where almost every label is fresh, and a smaller set has to be gone over more often.

`token_weight: entropy` is EAFT (arXiv 2601.02151): where the policy is sure of another label than the writer's, plain
SFT pulls hardest and undoes most; here it pulls least. The weight is the entropy over all labels, over ln 10.
Departure: a response is one label, and its weight is that of the only token there is. Whether the paper makes the
likeliest tokens' probabilities sum to 1 before it takes their entropy could not be confirmed; here they do.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from perdure.agent.worlds.losses import entropy_weights
from perdure.agent.worlds.vision.losses import cross_entropy
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.task_tensors import Rows, StepIndex, TaskTensors
from perdure.curriculum.worlds.vision.spec import VisionSft


def begin_pass(
    tensors: TaskTensors, settings: VisionSft, rngs: Rngs, log_MNC: Callable[[], Tensor], before: Rows
) -> Rows:
    """One label an image, drawn by the writer."""
    if before and settings.redraw is False:
        return before
    return {"targets": demonstrations(tensors, rngs)}


def loss(
    log_MBC: Tensor, rows: Rows, settings: VisionSft, rngs: Rngs, index: StepIndex
) -> tuple[Tensor, Tensor | None]:
    """Cross-entropy, nats an image; with `token_weight: entropy` weighed (it is not divided by the weights)."""
    targets_MBC = rows["targets"]
    if settings.token_weight == "entropy":
        targets_MBC = targets_MBC * entropy_weights(log_MBC, top_k=log_MBC.shape[-1])[..., None]
    return cross_entropy(log_MBC, targets_MBC), None


def demonstrations(tensors: TaskTensors, rngs: Rngs) -> Tensor:
    """One-hot labels of the writer: shape (M, N, C)."""
    writer_1NC = tensors.writer_1NC()
    labels_MN = rngs.labels(writer_1NC, 1)[..., 0]
    return torch.nn.functional.one_hot(labels_MN, writer_1NC.shape[-1]).to(writer_1NC.dtype)
