"""GRPO (arXiv 2402.03300) with the Dr. GRPO advantages (arXiv 2503.20783) unless `scale_rewards: group`.

Every step samples a group of labels an image from the policy as it is and takes one step on them, so that the
importance ratio is 1 and clipping never acts. With `beta` above 0 the KL term is the reverse KL to the original base,
exact over the classes; GRPO's own is an estimate of it by the samples (k3), whose gradient, taken through the
log-probabilities of on-policy samples as it usually is, is that of the forward KL. With `entropy_coef` above 0 the mean
entropy over images is added to the objective, as in TRL.
"""

from collections.abc import Callable

from torch import Tensor

from perdure.agent.worlds.losses import group_advantages
from perdure.agent.worlds.vision.losses import by_class, entropy, kl_policy_to_base, policy_gradient
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.schedule import default
from perdure.agent.worlds.vision.task_tensors import Rows, StepIndex, TaskTensors
from perdure.curriculum.worlds.vision.spec import Reinforce, VisionRl


def begin_pass(
    tensors: TaskTensors, settings: VisionRl, rngs: Rngs, log_MNC: Callable[[], Tensor], before: Rows
) -> Rows:
    """Nothing: samples are drawn at every step."""
    return {}


def loss(log_MBC: Tensor, rows: Rows, settings: VisionRl, rngs: Rngs, index: StepIndex) -> tuple[Tensor, Tensor | None]:
    """The policy gradient on a group of samples an image, the KL term and the entropy bonus."""
    labels_MBG, rewards_MBG = sample(log_MBC, rows, settings, rngs)
    index.idle.add("equal_rewards", are_equal(rewards_MBG))
    index.idle.add("unrewarded", rewards_MBG <= 0)
    loss_M = policy_gradient(log_MBC, sample_weights(labels_MBG, rewards_MBG, settings, log_MBC.shape[-1]))
    if beta := float(default("rl", settings, "beta")):
        loss_M = loss_M + beta * kl_policy_to_base(log_MBC, rows["base_log"]).mean(-1)
    if bonus := float(default("rl", settings, "entropy_coef")):
        loss_M = loss_M - bonus * entropy(log_MBC)
    return loss_M, rewards_MBG.mean((-1, -2))


def sample_weights(labels_MBG: Tensor, rewards_MBG: Tensor, settings: VisionRl, classes: int) -> Tensor:
    """The advantages of the samples by the class that was sampled: shape (M, B, C)."""
    scaled = default("rl", settings, "scale_rewards") == "group"
    return by_class(labels_MBG, group_advantages(rewards_MBG, scaled=scaled), classes)


def are_equal(rewards_MBG: Tensor) -> Tensor:
    """True for a group of equal rewards, whose advantages are 0: shape (M, B)."""
    return rewards_MBG.amax(-1) == rewards_MBG.amin(-1)


def sample(log_MBC: Tensor, rows: Rows, settings: VisionRl | Reinforce, rngs: Rngs) -> tuple[Tensor, Tensor]:
    """Labels that the policy says now, and their rewards: shapes (M, B, G)."""
    labels_MBG = rngs.labels(log_MBC.detach().exp(), int(default("rl", settings, "num_generations")))
    return labels_MBG, rows["correct"].gather(-1, labels_MBG)
