"""The losses of the control world: pure functions of log-probabilities and of what was done.

Axes: N decisions, D dimensions of the action, B values of each. Gradients flow through the first argument alone.
"""

import torch
from torch import Tensor

from perdure.budget.divergence import expected_log_ratio


def cross_entropy(log_NDB: Tensor, actions_ND: Tensor, weights_N: Tensor | None = None) -> Tensor:
    """`-sum_n w_n log π(a_n) / sum_n w_n`, nats a decision, whose dimensions add up. A scalar.

    Weights are 1 by default.

    Raises:
        ValueError: the shapes do not go together.
    """
    log_N = log_of(log_NDB, actions_ND)
    if weights_N is None:
        return -log_N.mean()
    return -(weights_N * log_N).sum() / weights_N.sum().clamp_min(1e-30)


def log_of(log_NDB: Tensor, actions_ND: Tensor) -> Tensor:
    """The log-probability of each action: (N,), nats.

    Raises:
        ValueError: the shapes do not go together.
    """
    if log_NDB.shape[:2] != actions_ND.shape:
        raise ValueError(f"no actions of {tuple(actions_ND.shape)} in distributions of {tuple(log_NDB.shape)}")
    return log_NDB.gather(-1, actions_ND[..., None])[..., 0].sum(-1)


def clipped(log_N: Tensor, old_log_N: Tensor, advantages_N: Tensor, *, epsilon: float, divisor: float) -> Tensor:
    """`-sum_n min(r A, clip(r, 1 - ε, 1 + ε) A) / divisor`, r = π/π_old of a decision. A scalar.

    PPO is arXiv 1707.06347. Dr. GRPO (arXiv 2503.20783) divides by a constant, not by the episode's length.
    """
    ratio_N = (log_N - old_log_N).exp()
    bounded_N = ratio_N.clamp(1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio_N * advantages_N, bounded_N * advantages_N).sum() / divisor


def group_advantages(rewards_PG: Tensor, *, scaled: bool) -> Tensor:
    """Rewards less the mean of their group (Dr. GRPO); divided by its deviation (n - 1, plus 1e-4) if `scaled`."""
    centred_PG = rewards_PG - rewards_PG.mean(-1, keepdim=True)
    return centred_PG / (rewards_PG.std(-1, keepdim=True) + 1e-4) if scaled else centred_PG


def batch_advantages(rewards_E: Tensor) -> Tensor:
    """Rewards normalised over the batch: less their mean, over their deviation (n - 1), 1e-4 added."""
    return (rewards_E - rewards_E.mean()) / (rewards_E.std() + 1e-4)


def kl_base_to_policy(log_NDB: Tensor, base_log_NDB: Tensor) -> Tensor:
    """Forward KL of each decision, base first, exact: the sum over dimensions, nats, (N,)."""
    return expected_log_ratio(base_log_NDB.exp(), base_log_NDB, log_NDB).sum(-1)


def kl_policy_to_base(log_NDB: Tensor, base_log_NDB: Tensor) -> Tensor:
    """Reverse KL of each decision, exact: the sum over dimensions, nats, (N,)."""
    return expected_log_ratio(log_NDB.exp(), log_NDB, base_log_NDB).sum(-1)
