"""A learned strategy: a linear softmax policy over the observation, for the environment and for runs.

    strategy: {type: python, path: examples.learned:strategy, args: {file: learned.json}}

It draws a method and a share of the budget; `p(i) ∝ exp(w_i · x)` with x the scaled observation and 1. In a run it
chooses the most probable of each, among the methods that can learn the task.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.agent.environment.observation import NAMES, observe
from perdure.agent.strategies.contract import Candidate, Decision, Situation
from perdure.budget.errors import ConfigError

Array = NDArray[np.float64]
SCALES = {"kl": 0.2, "gain": 0.3, "drop": 0.1, "benchmark_drop": 0.05, "benchmark_drop_so_far": 0.1}
"""The scale of entries whose usual value is far from 1."""


@dataclass(frozen=True)
class LinearPolicy:
    """Weights of shape (methods + shares, entries + 1): a row per choice; the last column is the constant."""

    methods: tuple[str, ...]
    shares: tuple[float, ...]
    weights_AF: Array

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.methods), len(self.shares)

    def probabilities(self, features_F: Array, learnable: NDArray[Any]) -> tuple[Array, Array]:
        """The probabilities of the methods, 0 if `learnable` is 0, and of the shares."""
        methods, _ = self.sizes
        logits_A = self.weights_AF @ features_F
        return _softmax(np.where(learnable, logits_A[:methods], -np.inf)), _softmax(logits_A[methods:])

    def save(self, path: Path) -> None:
        """Write the policy as JSON."""
        choices = {"methods": self.methods, "shares": self.shares, "entries": list(NAMES)}
        path.write_text(json.dumps(choices | {"weights": self.weights_AF.tolist()}, indent=1) + "\n")


def uniform_policy(methods: tuple[str, ...], shares: tuple[float, ...]) -> LinearPolicy:
    """A policy that draws uniformly."""
    return LinearPolicy(methods, shares, np.zeros((len(methods) + len(shares), len(NAMES) + 1)))


def load_linear_policy(path: Path) -> LinearPolicy:
    """Read a policy that `LinearPolicy.save` wrote.

    Raises:
        ConfigError: it cannot be read, or was trained on an observation with other entries.
    """
    try:
        content = json.loads(path.read_text())
        weights_AF = np.array(content["weights"], float)
        found = LinearPolicy(tuple(content["methods"]), tuple(content["shares"]), weights_AF)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no learned strategy: {error}") from error
    if content.get("entries") != list(NAMES) or weights_AF.shape != (sum(found.sizes), len(NAMES) + 1):
        raise ConfigError(f"{path} was trained on an observation with other entries; train it again")
    return found


def features(observation: NDArray[np.float32]) -> Array:
    """The scaled observation and 1: shape (entries + 1,)."""
    scales: Array = np.array([SCALES.get(name, 1.0) for name in NAMES])
    found: Array = np.append(observation / scales, 1.0)
    return found


def _softmax(logits: Array) -> Array:
    """Probabilities; a logit of minus infinity gives 0."""
    powers = np.exp(logits - logits.max())
    found: Array = powers / powers.sum()
    return found


@dataclass(frozen=True)
class Learned:
    """The strategy: see `perdure.agent.strategies.contract.Strategy`."""

    policy: LinearPolicy

    def choose(self, situation: Situation) -> Decision:
        """The most probable method that can learn the task, and the most probable share."""
        observation = observe(situation)
        learnable = np.array([method in situation.methods for method in self.policy.methods])
        if not learnable.any():
            raise ConfigError(f"none of {', '.join(self.policy.methods)} can learn task {situation.task.name!r}")
        p_methods, p_shares = self.policy.probabilities(features(observation), learnable)
        chosen, share = int(p_methods.argmax()), self.policy.shares[int(p_shares.argmax())]
        known = {str(method): method for method in situation.methods}
        candidates = tuple(
            Candidate(known[name], {"probability": float(p)})
            for name, p in zip(self.policy.methods, p_methods, strict=True)
            if name in known
        )
        evidence = dict(zip(NAMES, map(float, observation), strict=True))
        method = known[self.policy.methods[chosen]]
        reason = f"learned: p({method}) = {p_methods[chosen]:.2f}, {share:g} of the remaining budget"
        return Decision(method, reason, evidence, candidates, share)


def strategy(file: str) -> Learned:
    """The factory for `strategy: {type: python}`; `examples/train_strategy.py` writes the `file`."""
    return Learned(load_linear_policy(Path(file)))


def add_step(policy: LinearPolicy, step_AF: Array) -> LinearPolicy:
    """The policy with a step added to its weights."""
    return replace(policy, weights_AF=policy.weights_AF + step_AF)
