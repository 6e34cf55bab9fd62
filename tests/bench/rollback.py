"""The price of being able to roll back in full fine-tuning: the monitor's time and memory, its good state counted."""

from statistics import median

from perdure.budget.config import BudgetConfig
from tests.bench.figures import Options, Report, Series, Target, against
from tests.bench.large import train_both
from tests.bench.runs import StageTimes

AT = 4
TRAIN = {"max_steps": AT + 1, "per_device_train_batch_size": 8, "save_steps": AT}
BUDGET = {"every": AT, "enforce": "rollback"}
EVERY = BudgetConfig(kl=1).every

NOTE = (
    f"One full fine-tuning of {TRAIN['max_steps']} steps of {TRAIN['per_device_train_batch_size']} sequences of about "
    f"64 tokens, with a reading and a checkpoint at step {AT}. Time: the monitor's seconds after that step (the "
    "reading, the copy of the good state, its writing and hashing before the checkpoint), beside those of "
    f"{EVERY} median steps, after which a reading comes by default. Memory: `ru_maxrss` of the whole run, the good "
    "state in it, and of a script of TRL alone that makes the same steps and writes nothing."
)


def measure(options: Options) -> Report:
    """A large model by SFT."""
    pair = train_both(options, train=TRAIN, budget=BUDGET)
    monitor, training = (Series((one,), "s") for one in interval(pair.times))
    ours, bare = Series((pair.peak,), "MB"), Series((pair.bare_peak,), "MB")
    return Report(
        (
            against(f"monitor, {pair.name}", monitor, training, Target("at most", 5, "%")),
            against(f"memory, {pair.name}", ours, bare, Target("at most", 1.15, "×")),
        ),
        (NOTE,),
    )


def interval(times: StageTimes) -> tuple[float, float]:
    """Seconds of the monitor and of training in an interval of `EVERY` steps, of which one has a reading."""
    at_reading, *others = sorted(times.watched, reverse=True)
    return at_reading + (EVERY - 1) * median(others), EVERY * median(times.steps)
