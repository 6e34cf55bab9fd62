"""The demo: a whole run on the built-in model."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.figures import Options, Report, Series, Target, alone
from tests.bench.processes import perdure, run


def measure(_: Options) -> Report:
    """Wall time of `perdure run demo`, imports included."""
    with TemporaryDirectory() as scratch:
        seconds, _printed = run([perdure(), "run", "demo", "--plain", "--output-dir", Path(scratch) / "run"])
    return Report((alone("`perdure run demo --plain`", Series((seconds,), "s"), Target("at most", 180, "s")),))
