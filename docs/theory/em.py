"""Alternating projections: the EM view of policy gradient (Dayan and Hinton 1997), with M-steps of any length.

I-projection: `q_t ∝ π_t·R`. M-projection: `π_{t+1} = argmin KL(q_t ‖ π)` over the class of policies. In a table the
argmin is `q_t` itself. An inexact M-step follows the gradient `q_t - π` for a time τ, from `π_t`.
"""

from docs.theory.bandit import Array, Problem, accuracy, projection
from docs.theory.flows import fit, follow


def exact(problem: Problem) -> Array:
    """One I-projection and one exact M-projection in the class of all tables."""
    return projection(problem.base_SK, problem)


def inexact(problem: Problem, length: float, until: float) -> tuple[Array, int]:
    """EM with M-steps of `length`, until an accuracy: the policy there, and the number of targets."""
    policy_SK, targets = problem.base_SK, 0
    while accuracy(policy_SK, problem) < until - 1e-12:
        target_SK = projection(policy_SK, problem)
        policy_SK = follow(problem, fit(target_SK), until=until, horizon=length, start_SK=policy_SK).end
        targets += 1
    return policy_SK, targets
