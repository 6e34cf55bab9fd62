"""Trains a strategy over many lives in the environment, in numpy alone: REINFORCE (Williams 1992) on `Linear`.

    python -m examples.train_strategy --lives 600 --output learned.json

Of each batch of lives the gradient is `sum_t A_t ∇ log p(a_t | x_t)`. The advantage A_t is what the life still brought
from stage t on, less what a ridge regression on the observation expects there (fitted on the last lives), over the
spread of that difference; Adam takes the step. An entropy bonus keeps it from settling too soon. Every line of the log
is the mean of a batch, by draws and not greedy.
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

from examples.learned import Array, Linear, features, fresh, moved
from perdure.agent.environment.actions import Mask


@dataclass(frozen=True)
class Settings:
    """Of the training, not of the lives."""

    lives: int = 600
    batch: int = 16
    rate: float = 0.02
    entropy: float = 0.01
    seed: int = 0
    remembered: int = 160
    ridge: float = 1.0


@dataclass
class Step:
    """One decision: what was seen, what could be chosen, what was chosen, and what it brought."""

    features_F: Array
    able: NDArray[Any]
    action: tuple[int, int]
    reward: float


@dataclass
class Adam:
    """Kingma and Ba 2015, upwards."""

    rate: float
    mean: Array | float = 0.0
    square: Array | float = 0.0
    steps: int = field(default=0)

    def step(self, gradient: Array) -> Array:
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.99 * self.square + 0.01 * gradient**2
        upright = self.mean / (1 - 0.9**self.steps), self.square / (1 - 0.99**self.steps)
        moved: Array = self.rate * upright[0] / (np.sqrt(upright[1]) + 1e-8)
        return moved


def live(env: gymnasium.Env[Any, Any], policy: Linear, seed: int, draws: np.random.Generator) -> list[Step]:
    """One life by draws from the policy."""
    observation, info = env.reset(seed=seed)
    steps, over = [], False
    while not over:
        mask: Mask = info["action_mask"]
        seen = features(observation)
        chosen = [int(draws.choice(len(p), p=p)) for p in policy.probabilities(seen, mask[0])]
        observation, reward, over, _, info = env.step(np.array(chosen))
        steps.append(Step(seen, mask[0], (chosen[0], chosen[1]), float(reward)))
    return steps


def to_come(life: list[Step]) -> Array:
    """What each stage and those after it brought: shape (stages,)."""
    return np.cumsum([step.reward for step in life][::-1])[::-1]


def expectation(lives: list[list[Step]], ridge: float) -> Array:
    """Weights of the ridge regression of what was to come on what was seen: shape (entries + 1,)."""
    seen_NF = np.array([step.features_F for life in lives for step in life])
    to_come_N = np.concatenate([to_come(life) for life in lives])
    found: Array = np.linalg.solve(seen_NF.T @ seen_NF + ridge * np.eye(seen_NF.shape[1]), seen_NF.T @ to_come_N)
    return found


def gradient(policy: Linear, lives: list[list[Step]], expected_F: Array, entropy: float) -> Array:
    """The gradient of a batch, over its number of lives: the shape of the weights."""
    seen_LTF = np.array([[step.features_F for step in life] for life in lives])
    advantages_LT = np.array([to_come(life) for life in lives]) - seen_LTF @ expected_F
    advantages_LT /= max(float(advantages_LT.std()), 1e-6)
    total = np.zeros_like(policy.weights_AF)
    for life, advantages_T in zip(lives, advantages_LT, strict=True):
        for step, advantage in zip(life, advantages_T, strict=True):
            slopes = [
                advantage * (np.eye(len(p))[chosen] - p) - entropy * _entropy_slope(p)
                for p, chosen in zip(policy.probabilities(step.features_F, step.able), step.action, strict=True)
            ]
            total += np.outer(np.concatenate(slopes), step.features_F)
    return total / len(lives)


def _entropy_slope(p: Array) -> Array:
    """Minus the slope of the entropy in the logits: p (log p + H)."""
    logs = np.log(np.maximum(p, 1e-12))
    slope: Array = p * (logs - float((p * logs).sum()))
    return slope


def train(env: gymnasium.Env[Any, Any], settings: Settings) -> Iterator[tuple[Linear, dict[str, float]]]:
    """The policy after each batch, and what the batch was like."""
    stream: Any = env.unwrapped
    policy, adam = fresh(stream.methods, stream.shares), Adam(settings.rate)
    draws, past = np.random.default_rng(settings.seed), list[list[Step]]()
    began = time.monotonic()
    for start in range(0, settings.lives, settings.batch):
        seeds = range(start, min(start + settings.batch, settings.lives))
        lives = [live(env, policy, seed, draws) for seed in seeds]
        returns = np.array([sum(step.reward for step in life) for life in lives])
        past = [*past, *lives][-settings.remembered :]
        expected_F = expectation(past, settings.ridge)
        policy = moved(policy, adam.step(gradient(policy, lives, expected_F, settings.entropy)))
        spread = float(returns.std(ddof=1) / len(returns) ** 0.5) if len(returns) > 1 else float("nan")
        figures = {"lives": seeds.stop, "return": float(returns.mean()), "stderr": spread}
        yield policy, figures | {"seconds": time.monotonic() - began}


def main() -> None:
    """Train, print the curve, save."""
    parser = argparse.ArgumentParser(description="Train a strategy over many lives.")
    parser.add_argument("--curriculum", default="stream-gym", help="a shipped name or a path")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    parser.add_argument("--lives", type=int, default=Settings.lives)
    parser.add_argument("--batch", type=int, default=Settings.batch)
    parser.add_argument("--rate", type=float, default=Settings.rate)
    parser.add_argument("--seed", type=int, default=Settings.seed, help="of the draws; lives have the seeds 0, 1, …")
    parser.add_argument("--benchmark-weight", type=float, help="default: what the curriculum says")
    parser.add_argument("--output", type=Path, default=Path("learned.json"))
    given = parser.parse_args()
    env = gymnasium.make(
        "perdure.agent.environment:Stream-v0",
        curriculum=given.curriculum,
        overrides=given.overrides,
        shuffle=True,
        benchmark_weight=given.benchmark_weight,
    )
    settings = Settings(given.lives, given.batch, given.rate, seed=given.seed)
    for policy, figures in train(env, settings):
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}), flush=True)
        policy.save(given.output)
    env.close()


if __name__ == "__main__":
    main()
