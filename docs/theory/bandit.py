"""Tabular policies over a few answers, and their divergences from the base: exact sums, no sampling.

Axes: S states (prompts, equally likely), K arms (answers). KLs are in nats, the mean over states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """The base policy and the binary reward, both of shape (S, K)."""

    base_SK: Array
    reward_SK: Array

    @property
    def base_mass_S(self) -> Array:
        """`a`: the base's probability of a right answer."""
        return mass(self.base_SK, self)


def bandit(base: Sequence[Sequence[float]], right: int) -> Problem:
    """A bandit whose first `right` arms are right in every state.

    Raises:
        ValueError: a row of the base does not sum to 1.
    """
    base_SK = np.array(base, dtype=np.float64)
    if not np.allclose(base_SK.sum(-1), 1, atol=1e-12):
        raise ValueError(f"a policy sums to 1, got {base_SK.sum(-1)}")
    return Problem(base_SK, np.broadcast_to(np.arange(base_SK.shape[1]) < right, base_SK.shape).astype(np.float64))


SEVEN = bandit([[0.35, 0.15, 0.10, 0.16, 0.12, 0.08, 0.04]], right=3)
"""The page's example: seven arms, the first three right, 0.6 of the mass on them."""


def softmax(logits_SK: Array) -> Array:
    """Probabilities of shape (S, K)."""
    powers_SK = np.exp(logits_SK - logits_SK.max(-1, keepdims=True))
    return powers_SK / powers_SK.sum(-1, keepdims=True)


def mass(policy_SK: Array, problem: Problem) -> Array:
    """`J`, the probability of a right answer in each state: shape (S,), or (..., S) for a stack of policies."""
    return (policy_SK * problem.reward_SK).sum(-1)


def accuracy(policy_SK: Array, problem: Problem) -> float:
    """The mean of `J` over states."""
    return float(mass(policy_SK, problem).mean())


def kl(p_SK: Array, q_SK: Array) -> float:
    """`KL(p ‖ q) = sum p ln(p/q)`, the mean over states; 0 ln 0 = 0, and infinite if q is 0 where p is not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms_SK = np.where(p_SK > 0, p_SK * np.log(p_SK / q_SK), 0.0)
    return float(terms_SK.sum(-1).mean())


def kl_reverse(policy_SK: Array, problem: Problem) -> float:
    """`KL(π ‖ π0)`, the divergence of the paper's proposition."""
    return kl(policy_SK, problem.base_SK)


def kl_forward(policy_SK: Array, problem: Problem) -> float:
    """`KL(π0 ‖ π)`, the divergence of the forgetting law and the budget."""
    return kl(problem.base_SK, policy_SK)


def binary(a: float, b: float) -> float:
    """`a ln(a/b) + (1-a) ln((1-a)/(1-b))`: the forward floor at mass b; `binary(b, a)` is the reverse one."""
    return kl(np.array([[a, 1 - a]]), np.array([[b, 1 - b]]))


def tilted(problem: Problem, mass_S: Array) -> Array:
    """The base with mass `mass_S` on its right answers, and unchanged ratios among right and among wrong ones.

    It is `π0 exp(R ln odds) / Z`, the unique policy with these masses and the least KL, in either direction.
    """
    a_S1, b_S1 = problem.base_mass_S[:, None], np.asarray(mass_S)[:, None]
    return problem.base_SK * np.where(problem.reward_SK > 0, b_S1 / a_S1, (1 - b_S1) / (1 - a_S1))


def least_kl(problem: Problem, at: float) -> Array:
    """The tilted base at one accuracy in every state."""
    return tilted(problem, np.full(len(problem.base_SK), at))


def projection(policy_SK: Array, problem: Problem) -> Array:
    """`q ∝ π·R`, the I-projection of π onto the policies that are always right, `argmin KL(q ‖ π)`; q* of the base."""
    right_SK = policy_SK * problem.reward_SK
    return right_SK / right_SK.sum(-1, keepdims=True)


def uniform_over(problem: Problem, arms: Sequence[int]) -> Array:
    """The uniform distribution over some arms in every state: the demonstrations of one or several writers."""
    chosen_K = np.isin(np.arange(problem.base_SK.shape[1]), arms) / len(arms)
    return np.broadcast_to(chosen_K, problem.base_SK.shape)
