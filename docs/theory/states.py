"""Several prompts of different difficulty: the KL of each at one mean accuracy.

Axes: S states, K arms.
"""

from collections.abc import Callable

import numpy as np

from docs.theory.bandit import SEVEN, Array, Problem, accuracy, bandit, binary, tilted

MASSES = (0.9, 0.6, 0.2)
"""The base's probability of a right answer in each state."""


def three_states() -> Problem:
    """The seven arms in three states, with the same proportions among right and among wrong arms."""
    rows = [tilted(SEVEN, np.array([a]))[0] for a in MASSES]
    return bandit([row.tolist() for row in rows], right=3)


def reverse_least(problem: Problem, at: float) -> Array:
    """The policy with the least mean `KL(π ‖ π0)` at a mean accuracy: `logit b = logit a + t`, one t for all states."""
    a_S = problem.base_mass_S
    return tilted(problem, _solve(lambda t: 1 / (1 + (1 - a_S) / a_S * np.exp(-t)), at))


def forward_least(problem: Problem, at: float) -> Array:
    """The policy with the least mean `KL(π0 ‖ π)` at a mean accuracy: `(b - a) / (b (1 - b)) = m`, one m for all.

    The positive root of `m b² + (1 - m) b - a = 0`.
    """
    a_S = problem.base_mass_S
    return tilted(problem, _solve(lambda m: (m - 1 + np.sqrt((1 - m) ** 2 + 4 * m * a_S)) / (2 * m), at))


def mean_of_floors(problem: Problem, policy_SK: Array) -> float:
    """The mean of the forward floors of the states, each for the mass reached there."""
    reached_S = (policy_SK * problem.reward_SK).sum(-1)
    return float(np.mean([binary(a, b) for a, b in zip(problem.base_mass_S, reached_S, strict=True)]))


def floor_of_means(problem: Problem, policy_SK: Array) -> float:
    """The forward floor of the mean masses; by convexity at most the mean of the floors."""
    return binary(accuracy(problem.base_SK, problem), accuracy(policy_SK, problem))


def _solve(masses: Callable[[float], Array], at: float) -> Array:
    from scipy.optimize import brentq

    return masses(brentq(lambda x: masses(x).mean() - at, 1e-6, 1e4, xtol=1e-12))
