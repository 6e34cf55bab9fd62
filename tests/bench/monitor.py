"""The monitor's share of a run: its readings and snapshots, over the training between them, at the default interval."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from perdure.budget.config import BudgetConfig
from tests.bench.figures import Figure, Options, Report, Series, Target, against
from tests.bench.large import large_pair
from tests.bench.material import tiny_curriculum
from tests.bench.runs import StageTimes, timed_run
from tests.bench.small import SIZES, small_pairs

METHODS: tuple[str, ...] = ("sft", "rl", "chord")
TARGET = Target("at most", 5, "%")
BUDGET = BudgetConfig(kl=1)

NOTE = (
    f"Each pair is one interval of {BUDGET.every} optimiser steps: the seconds that the monitor took in it (a reading "
    f"of {BUDGET.num_prompts} texts of at most {BUDGET.max_completion_length} tokens, a snapshot of the weights, "
    f"journal and progress), and {BUDGET.every} times the median step; checkpoints and the trainer's set-up count on "
    "neither side. A stage begins with one reading more. Under `prompts: seen`, the default, a reading grows with the "
    "number of tasks seen: these are first stages, but for the one marked as the third."
)


def measure(options: Options) -> Report:
    """The built-in model by every method, and a large one by SFT."""
    figures = [_figure(f"{method}, builtin:tiny", small_pairs(method).runs) for method in METHODS]
    figures.append(_figure("sft, builtin:tiny, third task", [_third_stage()]))
    pair = large_pair(options)
    return Report((*figures, _figure(f"sft, {pair.name}", [pair.times])), (NOTE,))


def _third_stage() -> StageTimes:
    curriculum = tiny_curriculum("sft", steps=SIZES["sft"].steps, earlier=("shift_letters", "word_starting"))
    with TemporaryDirectory() as scratch:
        return timed_run(curriculum, Path(scratch) / "run")


def _figure(name: str, runs: Sequence[StageTimes]) -> Figure:
    intervals = [interval for one in runs for interval in one.intervals(BUDGET.every)]
    monitor, training = zip(*intervals, strict=True)
    return against(name, Series(monitor, "s"), Series(training, "s"), TARGET)
