"""Weights in the losses of every world: CHORD's (arXiv 2508.11408), EAFT's (arXiv 2601.02151), GRPO's and `tilt`'s."""

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


IMPROBABLE, SURE = 0.1, 0.2
"""A probability, and a share of the largest entropy."""


@torch.no_grad()
def confident_conflicts(log: Tensor, uncertainty: Tensor) -> Tensor:
    """True at the tokens that a model finds improbable (below `IMPROBABLE`) while it is sure of others: (…, V).

    `uncertainty` (…,) is the entropy over its largest value; below `SURE` the model is sure. To imitate such a token
    overwrites what the model knows: EAFT (arXiv 2601.02151). Its thresholds are shares of its own data's tokens; those
    here are fixed, so that tasks can be compared.
    """
    return (log < math.log(IMPROBABLE)) & (uncertainty < SURE)[..., None]


@torch.no_grad()
def token_weights(log: Tensor) -> Tensor:
    """CHORD's phi, `p (1 - p)`, from log-probabilities of any shape; without a gradient."""
    p = log.exp()
    return p * (1 - p)


def group_advantages(rewards: Tensor, *, scaled: bool) -> Tensor:
    """Rewards less the mean of their group, (…, G) (Dr. GRPO, arXiv 2503.20783); over its deviation where `scaled`.

    The deviation is that of GRPO (arXiv 2402.03300) in TRL: n - 1 in the denominator, and 1e-4 added to it.
    """
    centred = rewards - rewards.mean(-1, keepdim=True)
    return centred / (rewards.std(-1, keepdim=True) + 1e-4) if scaled else centred


def tilt_weights(log_ratios_PG: Tensor, rewards_PG: Tensor) -> Tensor:
    """The weights of a prompt's samples for the target q* ∝ π0·R, self-normalised: [P, G], each row sums to 1 or is 0.

        w_i = R_i ρ_i / Σ_j R_j ρ_j,    ρ = π0(y|x) / π(y|x), of whole answers

    Args:
        log_ratios_PG: ln ρ of every sample by the policy that it was drawn from; 0 where that is the base.
        rewards_PG: of every sample; NaN (undefined) and values not above 0 have no part in the target.

    A prompt without a success has weights 0; so does a sample whose log-ratio is NaN.

    Raises:
        ValueError: the shapes differ.
    """
    if log_ratios_PG.shape != rewards_PG.shape:
        raise ValueError(f"log-ratios {tuple(log_ratios_PG.shape)} and rewards {tuple(rewards_PG.shape)} differ")
    verified_PG = (rewards_PG > 0) & ~log_ratios_PG.isnan()
    logits_PG = (log_ratios_PG.float() + rewards_PG.float().log()).masked_fill(~verified_PG, -torch.inf)
    largest_P1 = logits_PG.amax(-1, keepdim=True).nan_to_num(neginf=0.0)
    masses_PG = (logits_PG - largest_P1).exp()
    totals_P1 = masses_PG.sum(-1, keepdim=True)
    return masses_PG / totals_P1.masked_fill(totals_P1 == 0, 1.0)


@torch.no_grad()
def entropy(log: Tensor) -> Tensor:
    """The entropy of distributions over the last axis of log-probabilities, in nats; 0 ln 0 is 0."""
    found: Tensor = torch.special.entr(log.exp()).sum(-1)
    return found
