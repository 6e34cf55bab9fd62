"""Losses and weights of samples in the language world: pure functions. CHORD: Zhang et al., arXiv 2508.11408."""

import numpy as np
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
