"""Update methods with exact gradients in the limit of small steps: `d logits / dt` as a function of the policy.

Axes: S states, K arms. A field depends on the logits only through the policy; time is learning rate × steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import factorial, prod

import numpy as np

from docs.theory.bandit import Array, Problem, accuracy, mass, projection, softmax

FlowField = Callable[[Array, Problem], Array]


def exact_gradient(policy_SK: Array, problem: Problem) -> Array:
    """`∇J = π (R - J)`: REINFORCE with a binary reward and the softmax of logits (Williams 1992).

    In expectation a baseline, or a normalisation within a group of samples, changes only the speed: given the answer,
    an advantage that sums to 0 over the group is on average a multiple of `R - J`.
    """
    return policy_SK * (problem.reward_SK - mass(policy_SK, problem)[:, None])


def scaled_policy_gradient(policy_SK: Array, problem: Problem) -> Array:
    """GRPO's advantage, divided by its deviation, in the limit of large groups: `π (R - J) / sqrt(J (1 - J))`."""
    j_S1 = mass(policy_SK, problem)[:, None]
    return exact_gradient(policy_SK, problem) / np.sqrt(j_S1 * (1 - j_S1))


def natural_gradient(policy_SK: Array, problem: Problem) -> Array:
    """`F⁺ ∇J = R - J`, with `F = diag(π) - ππᵀ` the Fisher matrix of the logits (Kakade 2001)."""
    return problem.reward_SK - mass(policy_SK, problem)[:, None]


def penalised(beta: float) -> FlowField:
    """The gradient of `J - β KL(π ‖ π0)`: a reward of `R - β ln(π/π0)`."""

    def field(policy_SK: Array, problem: Problem) -> Array:
        reward_SK = problem.reward_SK - beta * np.log(policy_SK / problem.base_SK)
        return policy_SK * (reward_SK - (policy_SK * reward_SK).sum(-1, keepdims=True))

    return field


def penalised_k3(beta: float) -> FlowField:
    """The gradient of `J` with the k3 estimator differentiated as a loss on the policy's own samples.

    `E_π ∇(π0/π - 1 - ln(π0/π)) = ∇ KL(π0 ‖ π)`: the value estimates the reverse KL, the gradient is of the forward KL.
    """
    return lambda policy_SK, problem: exact_gradient(policy_SK, problem) + beta * (problem.base_SK - policy_SK)


def fit(target_SK: Array) -> FlowField:
    """`-∇ KL(q ‖ π) = q - π`: supervised learning on samples of q."""
    return lambda policy_SK, problem: target_SK - policy_SK


def tilt(policy_SK: Array, problem: Problem) -> Array:
    """Towards `q* ∝ π0·R`, the expectation of right samples of the policy, weighted by π0/π."""
    return projection(problem.base_SK, problem) - policy_SK


def sampled_tilt(samples: int) -> FlowField:
    """The expectation of tilt over a few samples of the policy, with weights normalised to 1. One state.

    Without a right sample there is no step.
    """

    def field(policy_SK: Array, problem: Problem) -> Array:
        right_K = problem.reward_SK[0] > 0
        counts_NR, chances_N = _outcomes(policy_SK[0, right_K], samples)
        weights_NR = counts_NR * (problem.base_SK / policy_SK)[0, right_K]
        gradient_SK = -chances_N.sum() * policy_SK
        gradient_SK[0, right_K] += chances_N @ (weights_NR / weights_NR.sum(-1, keepdims=True))
        return gradient_SK

    return field


def _outcomes(right_R: Array, samples: int) -> tuple[Array, Array]:
    """Every count of right answers with at least one, and its multinomial probability: (N, R) and (N,)."""
    counts_NR, ways_N = _counts(len(right_R), samples)
    wrong_N = (1 - right_R.sum()) ** (samples - counts_NR.sum(-1))
    return counts_NR, ways_N * (right_R**counts_NR).prod(-1) * wrong_N


@cache
def _counts(right: int, samples: int) -> tuple[Array, Array]:
    counts = [c for c in product(range(samples + 1), repeat=right) if 0 < sum(c) <= samples]
    ways = [factorial(samples) / prod(map(factorial, (*c, samples - sum(c)))) for c in counts]
    return np.array(counts, dtype=np.float64), np.array(ways)


@dataclass(frozen=True)
class Trajectory:
    """A solved flow: the policy at any time, and at the solver's T steps, of shape (T, S, K)."""

    problem: Problem
    times: Array
    policies_TSK: Array
    solution: Callable[[float], Array]

    def at(self, wanted: float, state: int | None = None) -> Array | None:
        """The policy at which the accuracy (in one state, if given) first reaches a value; `None` if it never does."""
        from scipy.optimize import brentq

        states = slice(None) if state is None else slice(state, state + 1)
        reached_T = mass(self.policies_TSK, self.problem)[:, states].mean(-1) >= wanted
        if not reached_T.any():
            return None
        first = int(reached_T.argmax())
        if first == 0:
            return self.policies_TSK[0]

        def excess(time: float) -> float:
            return float(mass(self._policy(time), self.problem)[states].mean()) - wanted

        return self._policy(brentq(excess, self.times[first - 1], self.times[first], xtol=1e-12))

    @property
    def end(self) -> Array:
        """The last policy, of shape (S, K)."""
        return self.policies_TSK[-1]

    def _policy(self, time: float) -> Array:
        return softmax(self.solution(time).reshape(self.problem.base_SK.shape))


def follow(
    problem: Problem, field: FlowField, until: float = 0.9995, horizon: float = 1e5, start_SK: Array | None = None
) -> Trajectory:
    """Solve the flow from the base (or another policy) to an accuracy, or to the horizon if it stays below."""
    from scipy.integrate import solve_ivp

    shape = problem.base_SK.shape

    def slope(time: float, logits: Array) -> Array:
        return field(softmax(logits.reshape(shape)), problem).ravel()

    def arrived(time: float, logits: Array) -> float:
        return accuracy(softmax(logits.reshape(shape)), problem) - until

    arrived.terminal = True  # type: ignore[attr-defined]
    start = np.log(problem.base_SK if start_SK is None else start_SK).ravel()
    options = {"method": "DOP853", "rtol": 1e-10, "atol": 1e-12, "dense_output": True}
    solved = solve_ivp(slope, (0, horizon), start, events=arrived, **options)
    return Trajectory(problem, solved.t, softmax(solved.y.T.reshape(-1, *shape)), solved.sol)
