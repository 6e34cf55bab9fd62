"""The price of being able to roll back in full fine-tuning: the monitor's time and memory, its good state counted."""

from tests.bench.figures import Options, Report, Series, Target, against
from tests.bench.large import train_both

EVERY = 20
TRAIN = {"max_steps": EVERY + 1, "per_device_train_batch_size": 8, "save_steps": EVERY}
BARE_STEPS = 5
BUDGET = {"every": EVERY, "enforce": "rollback"}

NOTE = (
    f"One full fine-tuning of {TRAIN['max_steps']} steps of {TRAIN['per_device_train_batch_size']} sequences of about "
    f"64 tokens, with a reading and a checkpoint at step {EVERY}. Time: the seconds of the monitor over these {EVERY} "
    "steps (the reading, the copy of the good state, its writing and hashing before the checkpoint), and as many times "
    "the median step. Memory: `ru_maxrss` of the whole run, the good state in it, and of a script of TRL alone that "
    f"makes {BARE_STEPS} such steps and writes nothing."
)


def measure(options: Options) -> Report:
    """A large model by SFT."""
    pair = train_both(options, train=TRAIN, budget=BUDGET, bare_steps=BARE_STEPS)
    ((monitor, training),) = pair.times.intervals(EVERY)
    share = against(
        f"monitor, {pair.name}", Series((monitor,), "s"), Series((training,), "s"), Target("at most", 5, "%")
    )
    ours, bare = Series((pair.peak,), "MB"), Series((pair.bare_peak,), "MB")
    return Report((share, against(f"memory, {pair.name}", ours, bare, Target("at most", 1.15, "×"))), (NOTE,))
