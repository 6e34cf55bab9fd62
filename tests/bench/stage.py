"""The wall time of a stage's update in perdure, over the bare TRL script that makes the same update."""

import copy
import gc
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perdure.agent.language.loading import load_policy
from perdure.agent.seeds import derive
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sources.build import build_task
from perdure.curriculum.train import Method
from tests.bench.bare import digest, train
from tests.bench.figures import Figure, Options, Report, Series, Target, against
from tests.bench.large import STEPS as LARGE_STEPS
from tests.bench.large import large_pair
from tests.bench.lives import timed_life
from tests.bench.material import STAGE, bare_arguments, bare_rows, tiny_curriculum

STEPS: dict[Method, int] = {"sft": 100, "rl": 60}
PAIRS = 3
TARGET = Target("at most", 1.1, "×")

NOTE = (
    "perdure's side is the whole update, from the task's items to trained weights: trainer, steps, readings every 20 "
    "steps with their snapshots, and checkpoints every 50 steps and at the end. The script has the same settings, data "
    f"and seed, and writes nothing. The built-in model: {STEPS['sft']} steps of SFT, {STEPS['rl']} of RL, {PAIRS} "
    f"times, alternately, in one process; the large one: {LARGE_STEPS} steps, once, in a process each."
)


def measure(options: Options) -> Report:
    """The built-in model by SFT and RL, a large one by SFT."""
    figures, same = [], []
    for method in STEPS:
        figure, equal = _tiny(method)
        figures.append(figure)
        same.append(equal)
    pair = large_pair(options)
    ours, bare = Series((pair.times.update,), "s"), Series((pair.bare_seconds,), "s")
    figures.append(against(f"sft, {pair.name}", ours, bare, TARGET))
    same.append(pair.same_weights)
    verdicts = ", ".join(
        f"{figure.name}: {'yes' if equal else 'NO'}" for figure, equal in zip(figures, same, strict=True)
    )
    return Report(tuple(figures), (NOTE, f"Are the final weights of both sides the same, bit for bit? {verdicts}."))


def _tiny(method: Method) -> tuple[Figure, bool]:
    """The figure, and whether all final weights were the same."""
    curriculum = tiny_curriculum(method, steps=STEPS[method])
    ours, bare, hashes = [], [], set()
    for _ in range(PAIRS):
        for times, one_side in ((bare, _bare), (ours, _perdure)):
            gc.collect()
            with TemporaryDirectory() as scratch:
                seconds, sha256 = one_side(curriculum, method, Path(scratch))
            times.append(seconds)
            hashes.add(sha256)
    figure = against(f"{method}, builtin:tiny", Series(tuple(ours), "s"), Series(tuple(bare), "s"), TARGET)
    return figure, len(hashes) == 1


def _perdure(curriculum: Curriculum, _: Method, folder: Path) -> tuple[float, str]:
    times = timed_life(curriculum, folder / "run")
    return times.update, times.sha256


def _bare(curriculum: Curriculum, method: Method, folder: Path) -> tuple[float, str]:
    policy = load_policy(curriculum.model, seed=curriculum.seed)
    task = build_task(curriculum.stages[0].task, name=STAGE, seed=derive(curriculum.seed, "task", STAGE))
    rows, arguments = bare_rows(task, method), bare_arguments(curriculum, method, folder)
    model: Any = copy.deepcopy(policy.model)
    with redirect_stdout(StringIO()):
        seconds = train(method, model, policy.tokenizer, rows, arguments)
    return seconds, digest(model)
