"""Peak resident memory of a whole run with the monitor on, and of the bare TRL script that makes the same update."""

from tests.bench.figures import Options, Report, Series, Target, against
from tests.bench.large import train_both

TRAIN = {"max_steps": 5, "per_device_train_batch_size": 8, "save_steps": 2}
BUDGET = {"every": 2}

NOTE = (
    "`ru_maxrss` of two processes: a whole run of one SFT stage (loading, the base's texts, scoring the base, "
    f"training with a reading, a snapshot and a checkpoint every {BUDGET['every']} steps, scoring, saving), and a "
    f"script of TRL alone that makes the same update and writes nothing: {TRAIN['max_steps']} steps of "
    f"{TRAIN['per_device_train_batch_size']} sequences of about 64 tokens. A peak does not grow with the number of "
    "steps."
)


def measure(options: Options) -> Report:
    """A large model by SFT."""
    pair = train_both(options, train=TRAIN, budget=BUDGET)
    ours, bare = Series((pair.peak,), "MB"), Series((pair.bare_peak,), "MB")
    return Report((against(f"sft, {pair.name}", ours, bare, Target("at most", 1.15, "×")),), (NOTE,))
