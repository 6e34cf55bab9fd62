"""Losses and weights of samples in the language world: pure functions. CHORD: Zhang et al., arXiv 2508.11408."""

import numpy as np
import torch
from torch import Tensor


def imitation_loss(logps_BT: Tensor, mask_BT: Tensor, *, tokens: int, phi: bool) -> Tensor:
    """The negative log-likelihood of demonstration tokens, summed and divided by `tokens`; a scalar.

    With `phi` each token is weighed by p (1 - p), without gradient: p = exp(logp) is the policy's own probability of
    the token, so tokens that it is sure of, or finds very unlikely, have little weight (CHORD-phi).

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


def demonstration_indices(step: int, *, batch_size: int, total: int, seed: int) -> list[int]:
    """The indices, below `total`, of the demonstrations in the SFT term of `step`.

    Every pass over the demonstrations has a new random order, which depends on the arguments alone, so that a resumed
    stage has the same one.
    """
    positions = range(step * batch_size, (step + 1) * batch_size)
    rounds = sorted({position // total for position in positions})
    orders = {number: np.random.default_rng([seed, number]).permutation(total) for number in rounds}
    return [int(orders[position // total][position % total]) for position in positions]


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


def unsolved(rewards_PG: Tensor, success: float) -> Tensor:
    """True for prompts without a sample whose reward reaches `success` (NaN never does): bool [P]."""
    return ~(rewards_PG >= success).any(-1)


def weighted_cross_entropy(logps_BT: Tensor, mask_BT: Tensor, weights_B: Tensor) -> Tensor:
    """-Σ_i w_i ln π(y_i|x_i), of whole answers: their tokens' log-probabilities are summed, not averaged; a scalar.

    Rows of weight 0 do not count, whatever their log-probabilities are.
    """
    logps_B = (logps_BT * mask_BT).sum(-1)
    return -(weights_B * logps_B).masked_fill(weights_B == 0, 0.0).sum()


def reverse_kl(student_TV: Tensor, teacher_TV: Tensor, mask_T: Tensor) -> Tensor:
    """Σ_t KL(student ‖ teacher) over the tokens of the mask, exact over the vocabulary, in nats; a scalar.

        KL = Σ_v p_v (ln p_v - ln q_v),    p, q: softmax of the student's and the teacher's logits at temperature 1

    The gradient is the student's alone.
    """
    student_log_TV = student_TV.float().log_softmax(-1)
    teacher_log_TV = teacher_TV.detach().float().log_softmax(-1)
    kl_T = (student_log_TV.exp() * (student_log_TV - teacher_log_TV)).sum(-1)
    return kl_T.masked_fill(~mask_T.bool(), 0.0).sum()
