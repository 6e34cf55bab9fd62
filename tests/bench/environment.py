"""The simulator as an environment: how many stages and runs one thread runs in a second."""

import time
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch

from tests.bench.figures import Options, Report, Series, Target, alone

CURRICULUM = "stream-gym"


@dataclass(frozen=True)
class RunTimes:
    """Seconds of a reset, and of each stage after it."""

    reset: float
    stages: tuple[float, ...]


def measure(_: Options) -> Report:
    """As many runs as there are methods, after one that loads the libraries and makes the base."""
    torch.set_num_threads(1)
    env = gymnasium.make("perdure.agent.environment:Stream-v0", curriculum=CURRICULUM)
    methods: tuple[str, ...] = env.unwrapped.methods  # type: ignore[attr-defined]
    timed_run(env, len(methods))
    runs = [timed_run(env, index) for index in range(len(methods))]
    env.close()
    stages = Series(tuple(len(one.stages) / sum(one.stages) for one in runs), "/s")
    whole = Series(tuple(1 / (one.reset + sum(one.stages)) for one in runs), "/s")
    number = len(runs[0].stages)
    # Half a second a stage, and as much for a reset.
    figures = (
        alone("stages", stages, Target("at least", 2, "/s")),
        alone(f"runs of {number} stages", whole, Target("at least", 2 / (number + 1), "/s")),
    )
    return Report(figures, (_note(methods),))


def timed_run(env: gymnasium.Env[Any, Any], index: int) -> RunTimes:
    """A run at the seed `index`. Its stages take the methods in turn, from that one on, and all of the budget left.

    Over as many runs as there are methods, each stage is run once by each.
    """
    stream: Any = env.unwrapped
    last = time.perf_counter()
    env.reset(seed=index)
    reset, stages, over = time.perf_counter() - last, list[float](), False
    while not over:
        action = np.array([(index + len(stages)) % len(stream.methods), int(np.argmax(stream.shares))])
        last = time.perf_counter()
        _, _, over, _, _ = env.step(action)
        stages.append(time.perf_counter() - last)
    return RunTimes(reset, tuple(stages))


def _note(methods: tuple[str, ...]) -> str:
    return (
        f"`gymnasium.make` on `{CURRICULUM}`, by one thread, in {len(methods)} runs after a first one. Each stage is "
        f"run once by each method ({', '.join(methods)}), or by another where that method cannot learn it. A run "
        "includes its reset, in which the tasks are built and the base is scored; a stage includes its training, "
        "readings, scores and files."
    )
