"""Peak resident memory of a whole life with the monitor on, and of the bare TRL script that makes the same update."""

from tests.bench.figures import Options, Report, Series, Target, against
from tests.bench.large import STEPS, large_pair

NOTE = (
    "`ru_maxrss` of two processes: a whole life of one SFT stage (loading, the base's texts, scoring the base, "
    f"{STEPS} steps with a reading and a snapshot, scoring, saving), and a script of TRL alone that makes the same "
    "update: 8 sequences a step, of about 64 tokens."
)


def measure(options: Options) -> Report:
    """A large model by SFT."""
    pair = large_pair(options)
    ours, bare = Series((pair.peak,), "MB"), Series((pair.bare_peak,), "MB")
    return Report((against(f"sft, {pair.name}", ours, bare, Target("at most", 1.15, "×")),), (NOTE,))
