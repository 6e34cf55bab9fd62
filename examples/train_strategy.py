"""Trains a strategy over many runs in the environment, in numpy alone: REINFORCE (Williams 1992) on `LinearPolicy`.

    python -m examples.train_strategy --runs 600 --output learned.json

The gradient of a batch of runs is `sum_t A_t ∇ log p(a_t | x_t)`. The advantage A_t is the return from stage t on, less
its prediction by a ridge regression on the observation (fitted on the last runs), divided by the standard deviation of
that difference. Adam makes the step; an entropy bonus delays convergence. Every line of the log is the mean of a batch,
with sampled actions.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from examples.learned import Array, LinearPolicy, add_step, features, uniform_policy
from perdure.agent.environment.actions import Mask


@dataclass(frozen=True)
class Settings:
    """Settings of the training."""

    runs: int = 600
    batch: int = 16
    rate: float = 0.02
    entropy: float = 0.01
    seed: int = 0
    remembered: int = 160
    ridge: float = 1.0


@dataclass
class Transition:
    """One decision: the features, the learnable methods, the action and the reward."""

    features_F: Array
    learnable: NDArray[Any]
    action: tuple[int, int]
    reward: float


@dataclass
class Adam:
    """Kingma and Ba 2015, for gradient ascent."""

    rate: float
    mean: Array | float = 0.0
    square: Array | float = 0.0
    steps: int = field(default=0)

    def step(self, gradient: Array) -> Array:
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.99 * self.square + 0.01 * gradient**2
        corrected = self.mean / (1 - 0.9**self.steps), self.square / (1 - 0.99**self.steps)
        step: Array = self.rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        return step


def sample_run(
    env: gymnasium.Env[Any, Any], policy: LinearPolicy, seed: int, draws: np.random.Generator
) -> list[Transition]:
    """One run with actions sampled from the policy."""
    observation, info = env.reset(seed=seed)
    steps, over = [], False
    while not over:
        mask: Mask = info["action_mask"]
        observed = features(observation)
        chosen = [int(draws.choice(len(p), p=p)) for p in policy.probabilities(observed, mask[0])]
        observation, reward, over, _, info = env.step(np.array(chosen))
        steps.append(Transition(observed, mask[0], (chosen[0], chosen[1]), float(reward)))
    return steps


def returns_to_go(run: list[Transition]) -> Array:
    """The sum of rewards from each stage on: shape (stages,)."""
    return np.cumsum([step.reward for step in run][::-1])[::-1]


def fit_baseline(runs: list[list[Transition]], ridge: float) -> Array:
    """Weights of the ridge regression of the return to go on the features: shape (entries + 1,)."""
    features_NF = np.array([step.features_F for run in runs for step in run])
    returns_N = np.concatenate([returns_to_go(run) for run in runs])
    products_FF = features_NF.T @ features_NF + ridge * np.eye(features_NF.shape[1])
    found: Array = np.linalg.solve(products_FF, features_NF.T @ returns_N)
    return found


def gradient(policy: LinearPolicy, runs: list[list[Transition]], baseline_F: Array, entropy: float) -> Array:
    """The gradient of a batch, per run: the shape of the weights."""
    features_RTF = np.array([[step.features_F for step in run] for run in runs])
    advantages_RT = np.array([returns_to_go(run) for run in runs]) - features_RTF @ baseline_F
    advantages_RT /= max(float(advantages_RT.std()), 1e-6)
    total = np.zeros_like(policy.weights_AF)
    for run, advantages_T in zip(runs, advantages_RT, strict=True):
        for step, advantage in zip(run, advantages_T, strict=True):
            slopes = [
                advantage * (np.eye(len(p))[chosen] - p) - entropy * _entropy_slope(p)
                for p, chosen in zip(policy.probabilities(step.features_F, step.learnable), step.action, strict=True)
            ]
            total += np.outer(np.concatenate(slopes), step.features_F)
    return total / len(runs)


def _entropy_slope(p: Array) -> Array:
    """Minus the gradient of the entropy with respect to the logits: p (log p + H)."""
    logs = np.log(np.maximum(p, 1e-12))
    slope: Array = p * (logs - float((p * logs).sum()))
    return slope


def train_policy(env: gymnasium.Env[Any, Any], settings: Settings) -> Iterator[tuple[LinearPolicy, dict[str, float]]]:
    """Yield the policy after each batch, and the figures of the batch."""
    stream: Any = env.unwrapped
    policy, adam = uniform_policy(stream.methods, stream.shares), Adam(settings.rate)
    draws, past = np.random.default_rng(settings.seed), list[list[Transition]]()
    began = time.monotonic()
    for start in range(0, settings.runs, settings.batch):
        seeds = range(start, min(start + settings.batch, settings.runs))
        runs = [sample_run(env, policy, seed, draws) for seed in seeds]
        returns = np.array([sum(step.reward for step in run) for run in runs])
        past = [*past, *runs][-settings.remembered :]
        baseline_F = fit_baseline(past, settings.ridge)
        policy = add_step(policy, adam.step(gradient(policy, runs, baseline_F, settings.entropy)))
        spread = float(returns.std(ddof=1) / len(returns) ** 0.5) if len(returns) > 1 else float("nan")
        figures = {"runs": seeds.stop, "return": float(returns.mean()), "stderr": spread}
        yield policy, figures | {"seconds": time.monotonic() - began}


def main() -> None:
    """Train, print the curve, save."""
    parser = argparse.ArgumentParser(description="Train a strategy over many runs.")
    parser.add_argument("--curriculum", default="stream-gym", help="a shipped name or a path")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    parser.add_argument("--runs", type=int, default=Settings.runs)
    parser.add_argument("--batch", type=int, default=Settings.batch)
    parser.add_argument("--rate", type=float, default=Settings.rate)
    parser.add_argument("--seed", type=int, default=Settings.seed, help="of the draws; runs have the seeds 0, 1, …")
    parser.add_argument("--benchmark-weight", type=float, help="default: the curriculum's")
    parser.add_argument("--output", type=Path, default=Path("learned.json"))
    given = parser.parse_args()
    env = gymnasium.make(
        "perdure.agent.environment:Stream-v0",
        curriculum=given.curriculum,
        overrides=given.overrides,
        shuffle=True,
        benchmark_weight=given.benchmark_weight,
    )
    settings = Settings(given.runs, given.batch, given.rate, seed=given.seed)
    for policy, figures in train_policy(env, settings):
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}), flush=True)
        policy.save(given.output)
    env.close()


if __name__ == "__main__":
    main()
