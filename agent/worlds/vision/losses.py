"""The losses of the vision world: pure functions of logits and of what was drawn, one figure a model.

Axes: M models, B images, G samples, C classes. Log-probabilities are natural, so losses are in nats where they are
divergences. Every loss but a KL is a mean over images, and gradients flow through `log_MBC` alone.
"""

import torch
from torch import Tensor

from perdure.budget.divergence import expected_log_ratio


def cross_entropy(log_MBC: Tensor, targets_MBC: Tensor) -> Tensor:
    """`-sum_c target_c log p_c`, the mean over images; an image without a target counts as 0. Shape (M,)."""
    if log_MBC.shape != targets_MBC.shape:
        raise ValueError(f"shapes differ: {tuple(log_MBC.shape)} and {tuple(targets_MBC.shape)}")
    return -(targets_MBC * log_MBC).sum(-1).mean(-1)


def policy_gradient(log_MBC: Tensor, weights_MBC: Tensor) -> Tensor:
    """`-sum_c w_c log p_c`, the mean over images, with the samples' advantages (over G) summed by class. Shape (M,).

    REINFORCE (Williams 1992) for samples of the policy itself: one step a sample, so that the importance ratio is 1 and
    PPO's clipping never acts.
    """
    return cross_entropy(log_MBC, weights_MBC)


def by_class(labels_MBG: Tensor, values_MBG: Tensor, classes: int) -> Tensor:
    """The mean over samples, laid out by the class that was sampled: shape (M, B, classes)."""
    zeros_MBC = torch.zeros(*labels_MBG.shape[:2], classes, device=values_MBG.device)
    return zeros_MBC.scatter_add_(-1, labels_MBG, values_MBG) / labels_MBG.shape[-1]


def kl_policy_to_base(log_MBC: Tensor, base_log_MBC: Tensor) -> Tensor:
    """Reverse KL of each image, exact over the classes, in nats: shape (M, B)."""
    return expected_log_ratio(log_MBC.exp(), log_MBC, base_log_MBC)


def kl_base_to_policy(log_MBC: Tensor, base_log_MBC: Tensor) -> Tensor:
    """Forward KL of each image, base first, exact over the classes, in nats: shape (M, B)."""
    return expected_log_ratio(base_log_MBC.exp(), base_log_MBC, log_MBC)


def entropy(log_MBC: Tensor) -> Tensor:
    """The policy's entropy, the mean over images, in nats: shape (M,)."""
    return -(log_MBC.exp() * log_MBC).sum(-1).mean(-1)


def simpo(log_MBC: Tensor, chosen_MB: Tensor, rejected_MB: Tensor, *, beta: float, gamma: float) -> Tensor:
    """`-log sigmoid(beta (log p(chosen) - log p(rejected)) - gamma)`, the mean over images (SimPO, arXiv 2405.14734).

    A response here is one label, so that there is no length to divide by. Shape (M,).
    """
    margin_MB = _at(log_MBC, chosen_MB) - _at(log_MBC, rejected_MB)
    return -torch.nn.functional.logsigmoid(beta * margin_MB - gamma).mean(-1)


def _at(log_MBC: Tensor, labels_MB: Tensor) -> Tensor:
    return log_MBC.gather(-1, labels_MB[..., None])[..., 0]
