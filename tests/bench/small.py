"""One stage of the built-in model, by TRL alone and by perdure, alternately in this process, several times.

The benchmarks that look at them share them.
"""

import gc
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from perdure.agent.seeds import derive
from perdure.agent.worlds.language.loading import load_policy
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.build import build_task
from tests.bench.bare import digest, train
from tests.bench.material import STAGE, bare_arguments, bare_rows, tiny_curriculum
from tests.bench.runs import StageTimes, timed_run


@dataclass(frozen=True)
class Size:
    """Optimiser steps of the stage, and how often each side makes it."""

    steps: int
    repeats: int


SIZES: dict[str, Size] = {"sft": Size(60, 3), "rl": Size(40, 2), "chord": Size(20, 1)}


@dataclass(frozen=True)
class SmallPairs:
    """Seconds of the bare script's updates and the times of perdure's; `chord` has no bare script."""

    bare: tuple[float, ...]
    runs: tuple[StageTimes, ...]
    same_weights: bool


@cache
def small_pairs(method: str) -> SmallPairs:
    """Train both, first one and then the other."""
    size = SIZES[method]
    curriculum = tiny_curriculum(method, steps=size.steps)
    bare, runs, hashes = [], [], set()
    for _ in range(size.repeats):
        with TemporaryDirectory() as scratch:
            if method != "chord":
                seconds, sha256 = _bare(curriculum, method, Path(scratch) / "bare")
                bare.append(seconds)
                hashes.add(sha256)
            gc.collect()
            runs.append(timed_run(curriculum, Path(scratch) / "run"))
            hashes.add(runs[-1].sha256)
    return SmallPairs(tuple(bare), tuple(runs), len(hashes) == 1)


def _bare(curriculum: Curriculum, method: str, folder: Path) -> tuple[float, str]:
    policy = load_policy(curriculum.model, seed=curriculum.seed)
    task = build_task(curriculum.stages[0].task, name=STAGE, seed=derive(curriculum.seed, "task", STAGE))
    rows, arguments = bare_rows(task, method), bare_arguments(curriculum, method, folder)
    gc.collect()
    with redirect_stdout(StringIO()):
        seconds = train(method, policy.model, policy.tokenizer, rows, arguments)
    return seconds, digest(policy.model)
