"""A strategy that was learned: a linear softmax policy over what a strategy may know, for the environment and for runs.

    strategy: {type: python, path: examples.learned:strategy, args: {file: learned.json}}

A choice is two draws, of a method and of a share of the budget; `p(i) ∝ exp(w_i · x)` with x the scaled observation
and 1. In a run the most probable of each is taken, and a method that cannot learn the task is left out.
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
"""What a usual value is, for entries whose usual value is far from 1."""


@dataclass(frozen=True)
class Linear:
    """Weights of shape (methods + shares, entries + 1): a row a choice, the last column the constant."""

    methods: tuple[str, ...]
    shares: tuple[float, ...]
    weights_AF: Array

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.methods), len(self.shares)

    def probabilities(self, features_F: Array, able: NDArray[Any]) -> tuple[Array, Array]:
        """Of each method, 0 where `able` is 0, and of each share."""
        methods, _ = self.sizes
        logits_A = self.weights_AF @ features_F
        return softmax(np.where(able, logits_A[:methods], -np.inf)), softmax(logits_A[methods:])

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        told = {"methods": self.methods, "shares": self.shares, "entries": list(NAMES)}
        path.write_text(json.dumps(told | {"weights": self.weights_AF.tolist()}, indent=1) + "\n")


def fresh(methods: tuple[str, ...], shares: tuple[float, ...]) -> Linear:
    """One that draws evenly."""
    return Linear(methods, shares, np.zeros((len(methods) + len(shares), len(NAMES) + 1)))


def load(path: Path) -> Linear:
    """What `Linear.save` wrote.

    Raises:
        ConfigError: it cannot be read, or was trained on other entries of the observation than there are now.
    """
    try:
        told = json.loads(path.read_text())
        weights_AF = np.array(told["weights"], float)
        found = Linear(tuple(told["methods"]), tuple(told["shares"]), weights_AF)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} holds no learned strategy: {error}") from error
    if told.get("entries") != list(NAMES) or weights_AF.shape != (sum(found.sizes), len(NAMES) + 1):
        raise ConfigError(f"{path} was trained on another observation than perdure has now; train it again")
    return found


def features(observation: NDArray[np.float32]) -> Array:
    """The observation, scaled, and 1: shape (entries + 1,)."""
    scales: Array = np.array([SCALES.get(name, 1.0) for name in NAMES])
    found: Array = np.append(observation / scales, 1.0)
    return found


def softmax(logits: Array) -> Array:
    """Probabilities; a logit of minus infinity gives 0."""
    powers = np.exp(logits - logits.max())
    found: Array = powers / powers.sum()
    return found


@dataclass(frozen=True)
class Learned:
    """The strategy: see `perdure.agent.strategies.contract.Strategy`."""

    policy: Linear

    def choose(self, situation: Situation) -> Decision:
        """The most probable method that can learn the task, and the most probable share."""
        observation = observe(situation)
        able = np.array([method in situation.methods for method in self.policy.methods])
        if not able.any():
            raise ConfigError(f"none of {', '.join(self.policy.methods)} can learn task {situation.task.name!r}")
        of_methods, of_shares = self.policy.probabilities(features(observation), able)
        chosen, share = int(of_methods.argmax()), self.policy.shares[int(of_shares.argmax())]
        known = {str(method): method for method in situation.methods}
        candidates = tuple(
            Candidate(known[name], {"probability": float(p)})
            for name, p in zip(self.policy.methods, of_methods, strict=True)
            if name in known
        )
        evidence = dict(zip(NAMES, map(float, observation), strict=True))
        method = known[self.policy.methods[chosen]]
        reason = f"learned: p({method}) = {of_methods[chosen]:.2f}, {share:g} of what is left"
        return Decision(method, reason, evidence, candidates, share)


def strategy(file: str) -> Learned:
    """For `strategy: {type: python}`; `file` is what `examples/train_strategy.py` wrote."""
    return Learned(load(Path(file)))


def moved(policy: Linear, step_AF: Array) -> Linear:
    """The policy with its weights moved."""
    return replace(policy, weights_AF=policy.weights_AF + step_AF)
