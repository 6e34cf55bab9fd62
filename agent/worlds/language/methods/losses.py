"""What hybrids add to a loss, as pure functions.

CHORD's are of Zhang et al., "On-Policy RL Meets Off-Policy Experts" (2508.11408), the weights by entropy EAFT's
(2601.02151).
"""

import math

import numpy as np
import torch
from torch import Tensor


def mu(step: int, *, start: float, end: float, decay_steps: int) -> float:
    """The weight of the SFT term at `step` (0 is the first): a half cosine from `start` to `end`, then `end`.

    mu(t) = end + (start - end) (1 + cos(pi t / decay_steps)) / 2, as in the authors' code (Trinity-RFT), without its
    warm-up from zero: a stage begins with imitation.
    """
    if step >= decay_steps:
        return end
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * step / decay_steps))


def imitation_loss(logps_BT: Tensor, mask_BT: Tensor, *, tokens: int, phi: bool) -> Tensor:
    """The negative log-likelihood of demonstration tokens, summed and divided by `tokens`; a scalar.

    With `phi` each token is weighed by p (1 - p), without gradient: p = exp(logp) is the policy's own probability of
    the token, so tokens that it is sure of or finds absurd pull little (CHORD-phi).

    Raises:
        ValueError: the shapes differ.
    """
    if logps_BT.shape != mask_BT.shape:
        raise ValueError(f"log-probabilities {tuple(logps_BT.shape)} and mask {tuple(mask_BT.shape)} differ in shape")
    losses_BT = -logps_BT
    if phi:
        p_BT = logps_BT.detach().exp()
        losses_BT = losses_BT * p_BT * (1 - p_BT)
    return losses_BT.masked_fill(~mask_BT.bool(), 0.0).sum() / max(tokens, 1)


def chord_loss(grpo: Tensor, imitation: Tensor, weight: float) -> Tensor:
    """(1 - mu) L_GRPO + mu L_SFT (the paper's hybrid loss)."""
    return (1 - weight) * grpo + weight * imitation


@torch.no_grad()
def entropy_weights(logits: Tensor, *, top_k: int) -> Tensor:
    """The entropy of the `top_k` likeliest tokens among themselves, over its largest value ln k: (…, V) to (…), 0 to 1.

    From logits or log-probabilities, without a gradient. Of fewer tokens than `top_k` it is that of all.
    """
    k = min(top_k, logits.shape[-1])
    log = logits.float().topk(k, dim=-1).values.log_softmax(-1)
    return -(log.exp() * log).sum(-1) / math.log(k)


def demonstration_indices(step: int, *, batch_size: int, total: int, seed: int) -> list[int]:
    """Which of `total` demonstrations go into the SFT term of `step`.

    The demonstrations are gone through in a fresh random order each time round; the choice depends on nothing but the
    arguments, so that a resumed stage makes the same one.
    """
    positions = range(step * batch_size, (step + 1) * batch_size)
    rounds = sorted({position // total for position in positions})
    orders = {number: np.random.default_rng([seed, number]).permutation(total) for number in rounds}
    return [int(orders[position // total][position % total]) for position in positions]
