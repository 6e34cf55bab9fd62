"""gate: SFT on the images of which no sample is right, GRPO on the others (the gate of HPT, arXiv 2509.04419).

Every step samples a group of labels an image, as `rl` does; the group decides which of the two losses its image has.
HPT's gate is a success rate of 0 by default, as here. Departure: the writer's label is the supervision, where HPT has a
chain of thought of a stronger model. With `beta` above 0 GRPO's images have its KL term, the others have not; the
entropy bonus is of all images.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from perdure.agent.worlds.vision.losses import cross_entropy, entropy, kl_policy_to_base
from perdure.agent.worlds.vision.methods import rl, sft
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.schedule import default
from perdure.agent.worlds.vision.task_tensors import Rows, StepIndex, TaskTensors
from perdure.curriculum.worlds.vision.spec import VisionGate


def begin_pass(
    tensors: TaskTensors, settings: VisionGate, rngs: Rngs, log_MNC: Callable[[], Tensor], before: Rows
) -> Rows:
    """One label an image, drawn by the writer."""
    return {"targets": sft.demonstrations(tensors, rngs)}


def loss(
    log_MBC: Tensor, rows: Rows, settings: VisionGate, rngs: Rngs, index: StepIndex
) -> tuple[Tensor, Tensor | None]:
    """The mean over images of whichever loss each has."""
    labels_MBG, rewards_MBG = rl.sample(log_MBC, rows, settings, rngs)
    solved_MB1 = rewards_MBG.amax(-1, keepdim=True) >= settings.success_reward
    index.idle.add("equal_rewards", solved_MB1[..., 0] & rl.are_equal(rewards_MBG))
    index.idle.add("unrewarded", rewards_MBG <= 0)
    practised_MBC = rl.sample_weights(labels_MBG, rewards_MBG, settings, log_MBC.shape[-1])
    loss_M = cross_entropy(log_MBC, torch.where(solved_MB1, practised_MBC, settings.sft_weight * rows["targets"]))
    if beta := float(default("gate", settings, "beta")):
        kl_MB = kl_policy_to_base(log_MBC, rows["base_log"])
        loss_M = loss_M + beta * (kl_MB * solved_MB1[..., 0]).mean(-1)
    if bonus := float(default("gate", settings, "entropy_coef")):
        loss_M = loss_M - bonus * entropy(log_MBC)
    return loss_M, rewards_MBG.mean((-1, -2))
