"""The wall time of a stage's update in perdure, over the bare TRL script that makes the same update."""

from collections.abc import Sequence

from tests.bench.figures import Figure, Options, Report, Series, Target, against
from tests.bench.large import STEPS, large_pair
from tests.bench.small import SIZES, small_pairs

METHODS: tuple[str, ...] = ("sft", "rl")
TARGET = Target("at most", 1.1, "×")

NOTE = (
    "perdure's side is the whole update, from the task's items to trained weights: trainer, steps, readings every 20 "
    "steps with their snapshots, checkpoints every 50 steps and at the end. The script has the same settings, data and "
    "seed, and writes nothing. The built-in model: "
    + " and ".join(f"{SIZES[method].steps} steps of {method}" for method in METHODS)
    + f", alternately in one process; the large one: {STEPS} steps, once, in a process each."
)


def measure(options: Options) -> Report:
    """The built-in model by SFT and RL, a large one by SFT."""
    figures, same = [], {}
    for method in METHODS:
        pairs = small_pairs(method)
        figures.append(_figure(f"{method}, builtin:tiny", [one.update for one in pairs.runs], pairs.bare))
        if method == "sft":  # the rows of RL share their prompts, and agree to rounding
            same[figures[-1].name] = pairs.same_weights
    pair = large_pair(options)
    figures.append(_figure(f"sft, {pair.name}", [pair.times.update], [pair.bare_seconds]))
    same[figures[-1].name] = pair.same_weights
    answers = ", ".join(f"{name}: {'yes' if equal else 'NO'}" for name, equal in same.items())
    return Report(tuple(figures), (NOTE, f"Are the final weights of both sides the same, bit for bit? {answers}."))


def _figure(name: str, ours: Sequence[float], bare: Sequence[float]) -> Figure:
    return against(name, Series(tuple(ours), "s"), Series(tuple(bare), "s"), TARGET)
