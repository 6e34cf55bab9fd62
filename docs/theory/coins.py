"""A restricted class of policies: an answer is two independent coins.

The class is an exponential family (e-flat): `ln π` is linear in `logit u` and `logit v`, the coins' log-odds of heads.
An answer is right if at least one is heads, so that `J = 1 - (1-u)(1-v)`. Answers are ordered HH, HT, TH, TT.
"""

import numpy as np

from docs.theory.bandit import Array, Problem, bandit, projection


def coins(u: float, v: float) -> Array:
    """The policy of two coins, of shape (1, 4)."""
    return np.array([[u * v, u * (1 - v), (1 - u) * v, (1 - u) * (1 - v)]])


FAIR = bandit(coins(0.5, 0.5).tolist(), right=3)
"""Two fair coins; 3/4 of the base's answers are right."""


def m_step(target_SK: Array) -> tuple[float, float]:
    """The exact M-projection onto two coins, `argmin KL(q ‖ π)`: the two marginals of q."""
    return float(target_SK[0, :2].sum()), float(target_SK[0, [0, 2]].sum())


def em(problem: Problem, u: float, v: float, steps: int) -> list[tuple[float, float]]:
    """The coins at the start and after each exact EM step."""
    visited = [(u, v)]
    for _ in range(steps):
        visited.append(m_step(projection(coins(*visited[-1]), problem)))
    return visited


def least_kl_coins(u0: float, v0: float, at: float) -> tuple[float, float]:
    """The coins with the least `KL(π ‖ π0)` at an accuracy, to four decimals, on a grid of u; `(1-u)(1-v) = 1-J`.

    Assumes `u0 >= v0` and searches `u >= v`: exchanging the two changes the KL by `(u - v)(logit u0 - logit v0)`.
    """
    us = np.linspace(1 - np.sqrt(1 - at), at, 50_001)[:-1]
    vs = 1 - (1 - at) / (1 - us)
    costs = sum(x * np.log(x / x0) + (1 - x) * np.log((1 - x) / (1 - x0)) for x, x0 in ((us, u0), (vs, v0)))
    best = int(np.argmin(costs))
    return float(us[best]), float(vs[best])
