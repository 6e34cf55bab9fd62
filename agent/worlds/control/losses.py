"""The losses of the control world: pure functions of log-probabilities and of what was done.

Axes: N decisions, D dimensions of the action, B values of each. Gradients flow through the first argument alone. Of no
decisions every loss is 0.
"""

import math

import torch
from torch import Tensor

from perdure.budget.divergence import expected_log_ratio


def chosen_of(values_NDB: Tensor, actions_ND: Tensor) -> Tensor:
    """The figures of the values that were chosen, from those of every value: (N, D).

    Raises:
        ValueError: the shapes do not go together.
    """
    if values_NDB.shape[:2] != actions_ND.shape:
        raise ValueError(f"no actions of {tuple(actions_ND.shape)} in figures of {tuple(values_NDB.shape)}")
    return values_NDB.gather(-1, actions_ND[..., None])[..., 0]


def log_of(log_NDB: Tensor, actions_ND: Tensor) -> Tensor:
    """The log-probability of each action, by the chain rule: (N,), nats. Raises as `chosen_of`."""
    return chosen_of(log_NDB, actions_ND).sum(-1)


def cross_entropy(log_NDB: Tensor, actions_ND: Tensor, weights_ND: Tensor | None = None) -> Tensor:
    """`-sum_d w_d log π(a_d)`, the mean over decisions, in nats; it is not divided by the weights. A scalar.

    Weights are 1 by default. Raises as `chosen_of`.
    """
    log_ND = chosen_of(log_NDB, actions_ND)
    weighted_ND = log_ND if weights_ND is None else weights_ND * log_ND
    return -weighted_ND.sum() / max(len(log_ND), 1)


def policy_gradient(log_N: Tensor, weights_N: Tensor) -> Tensor:
    """`-sum_n w_n log π(a_n)`, whose gradient is REINFORCE's (Williams 1992). A scalar."""
    return -(weights_N * log_N).sum()


def clipped(log_N: Tensor, old_log_N: Tensor, advantages_N: Tensor, *, epsilon: float) -> Tensor:
    """`-sum_n min(r A, clip(r, 1 - ε, 1 + ε) A)`, r = π/π_old of a decision (PPO, arXiv 1707.06347). A scalar."""
    ratio_N = (log_N - old_log_N).exp()
    bounded_N = ratio_N.clamp(1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio_N * advantages_N, bounded_N * advantages_N).sum()


def batch_advantages(rewards_E: Tensor) -> Tensor:
    """Rewards normalised over the batch: less their mean, over their deviation (n - 1), 1e-4 added; 0 for only one."""
    centred_E = rewards_E - rewards_E.mean()
    return centred_E / (rewards_E.std() + 1e-4) if len(rewards_E) > 1 else centred_E


@torch.no_grad()
def entropy_weights(log_NDB: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The entropy of each dimension over its largest value, ln of how many values it has: (N, D), 0 to 1.

    Without a gradient (EAFT, arXiv 2601.02151). A dimension of one value has weight 0.
    """
    entropy_ND = -(log_NDB.exp() * log_NDB).sum(-1)
    return entropy_ND / torch.tensor([math.log(max(size, 2)) for size in sizes], device=log_NDB.device)


def mean_entropy(log_NDB: Tensor) -> Tensor:
    """The policy's entropy of a decision, the sum over its dimensions, the mean over decisions; nats. A scalar."""
    return -(log_NDB.exp() * log_NDB).sum() / max(len(log_NDB), 1)


def kl_base_to_policy(log_NDB: Tensor, base_log_NDB: Tensor) -> Tensor:
    """Forward KL of each decision, base first, exact: the sum over dimensions, nats, (N,)."""
    return expected_log_ratio(base_log_NDB.exp(), base_log_NDB, log_NDB).sum(-1)


def kl_policy_to_base(log_NDB: Tensor, base_log_NDB: Tensor) -> Tensor:
    """Reverse KL of each decision, exact: the sum over dimensions, nats, (N,)."""
    return expected_log_ratio(log_NDB.exp(), log_NDB, base_log_NDB).sum(-1)
