"""The monitor's share of a run: its readings and snapshots, over the training between them, at the default interval."""

from pathlib import Path
from tempfile import TemporaryDirectory

from perdure.budget.config import BudgetConfig
from perdure.curriculum.train import Method
from tests.bench.figures import Figure, Options, Report, Series, Target, against
from tests.bench.large import large_pair
from tests.bench.lives import StageTimes, timed_life
from tests.bench.material import tiny_curriculum

STEPS = 80
METHODS: tuple[Method, ...] = ("sft", "rl", "chord")
TARGET = Target("at most", 5, "%")
BUDGET = BudgetConfig(kl=1)

NOTE = (
    f"Each pair is one interval of {BUDGET.every} optimiser steps: the seconds that the monitor took (one reading "
    f"of {BUDGET.num_prompts} texts of at most {BUDGET.max_completion_length} tokens, one snapshot of the weights, "
    "journal and progress at every step), and the seconds of training. Checkpoints and the trainer's set-up count on "
    "neither side. A stage begins with one reading more, and under `prompts: seen` a reading grows with the number of "
    "tasks seen: these are first stages."
)


def measure(options: Options) -> Report:
    """The built-in model by every method, and a large one by SFT."""
    figures = []
    for method in METHODS:
        with TemporaryDirectory() as scratch:
            curriculum = tiny_curriculum(method, steps=STEPS, save_steps=10 * STEPS)
            figures.append(_figure(f"{method}, builtin:tiny", timed_life(curriculum, Path(scratch) / "run")))
    pair = large_pair(options)
    figures.append(_figure(f"sft, {pair.name}", pair.times))
    return Report(tuple(figures), (NOTE,))


def _figure(name: str, times: StageTimes) -> Figure:
    monitor, training = times.monitor_shares(BUDGET.every)
    return against(name, Series(tuple(monitor), "s"), Series(tuple(training), "s"), TARGET)
