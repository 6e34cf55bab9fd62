"""Exact divergences between the base's and the policy's next-token distributions. Pure functions of logits.

Axes: N positions, V vocabulary. Results are in nats, in float32, and never clamped: infinite if the policy gives no
mass to a token that the base may sample, NaN if its weights are.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Divergences:
    """Per position, each of shape (N,).

    Exact forward and reverse KL (nats), total variation (≤ 1), L2 (≤ √2), Jensen-Shannon divergence (≤ ln 2 nats) and
    Hellinger distance (≤ 1).
    """

    kl_base_to_policy_N: Tensor
    kl_policy_to_base_N: Tensor
    total_variation_N: Tensor
    l2_distributions_N: Tensor
    jensen_shannon_N: Tensor
    hellinger_N: Tensor


def kl_base_to_policy(base_logits_NV: Tensor, policy_logits_NV: Tensor) -> Tensor:
    """Forward KL, base first: `sum_v p0(v) (log p0(v) - log p(v))`, exact over the vocabulary. Shape (N,), nats.

    The measure of RL's Razor (Shenfeld, Pari, Agrawal 2025), `KL(π0 ‖ π)`.

    Raises:
        ValueError: shapes differ or are not (N, V).
    """
    _check_shapes(base_logits_NV, policy_logits_NV)
    base_log_NV = torch.log_softmax(base_logits_NV.float(), dim=-1)
    policy_log_NV = torch.log_softmax(policy_logits_NV.float(), dim=-1)
    return expected_log_ratio(base_log_NV.exp(), base_log_NV, policy_log_NV)


def divergences(base_logits_NV: Tensor, policy_logits_NV: Tensor) -> Divergences:
    """All divergences of one chunk of positions.

    Raises:
        ValueError: shapes differ or are not (N, V).
    """
    _check_shapes(base_logits_NV, policy_logits_NV)
    base_log_NV = torch.log_softmax(base_logits_NV.float(), dim=-1)
    policy_log_NV = torch.log_softmax(policy_logits_NV.float(), dim=-1)
    base_NV, policy_NV = base_log_NV.exp(), policy_log_NV.exp()
    difference_NV = base_NV - policy_NV
    # Not logaddexp, whose last bit depends on the neighbours, and not the log of a half, which may round to 0.
    mixture_log_NV = (base_NV + policy_NV).log() - math.log(2)
    to_mixture_N = [
        expected_log_ratio(base_NV, base_log_NV, mixture_log_NV),
        expected_log_ratio(policy_NV, policy_log_NV, mixture_log_NV),
    ]
    return Divergences(
        kl_base_to_policy_N=expected_log_ratio(base_NV, base_log_NV, policy_log_NV),
        kl_policy_to_base_N=expected_log_ratio(policy_NV, policy_log_NV, base_log_NV),
        total_variation_N=0.5 * difference_NV.abs().sum(-1),
        l2_distributions_N=difference_NV.square().sum(-1).sqrt(),
        jensen_shannon_N=0.5 * (to_mixture_N[0] + to_mixture_N[1]),
        hellinger_N=(0.5 * (base_NV.sqrt() - policy_NV.sqrt()).square().sum(-1)).sqrt(),
    )


def expected_log_ratio(p: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """`sum_v p (log p - log q)` with `0 log 0 = 0`, from probabilities and their logarithms: (…, V) to (…), nats.

    Raises:
        ValueError: the shapes differ.
    """
    if log_p.shape != log_q.shape:
        raise ValueError(f"shapes differ: {tuple(log_p.shape)} and {tuple(log_q.shape)}")
    return torch.where(p == 0, 0.0, p * (log_p - log_q)).sum(-1)


def _check_shapes(base_logits_NV: Tensor, policy_logits_NV: Tensor) -> None:
    if base_logits_NV.shape != policy_logits_NV.shape or base_logits_NV.dim() != 2:
        raise ValueError(
            f"base and policy logits must both be (N, V), got {tuple(base_logits_NV.shape)} "
            f"and {tuple(policy_logits_NV.shape)}"
        )
