"""Weights in the losses of every world: `mu` of CHORD (arXiv 2508.11408), by entropy of EAFT (arXiv 2601.02151)."""

import math

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


@torch.no_grad()
def entropy_weights(logits: Tensor, *, top_k: int) -> Tensor:
    """The entropy of the `top_k` likeliest tokens among themselves, over its largest value ln k: (…, V) to (…), 0 to 1.

    From logits or log-probabilities, without a gradient. Of fewer tokens than `top_k` it is that of all.
    """
    k = min(top_k, logits.shape[-1])
    log = logits.float().topk(k, dim=-1).values.log_softmax(-1)
    return -(log.exp() * log).sum(-1) / math.log(k)
