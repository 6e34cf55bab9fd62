"""Commands that must answer at once."""

import tempfile
from pathlib import Path

from tests.bench.figures import Figure, Options, Report, Series, Target, alone
from tests.bench.processes import perdure, run
from tests.cli.journals import long_run, write_run

REPEATS = 5


def measure(_: Options) -> Report:
    """`--help`, `validate`, and `show` of 40 stages with 46 columns of 100 items, from the shell's point of view."""
    with tempfile.TemporaryDirectory() as folder:
        long = write_run(Path(folder) / "long", long_run(40))
        figures = [
            _timed("perdure --help", ["--help"], 0.5),
            _timed("perdure validate demo", ["validate", "demo"], 0.5),
            _timed("perdure show, 40 stages", ["show", str(long)], 1.5),
        ]
    return Report(tuple(figures))


def _timed(name: str, words: list[str], most: float) -> Figure:
    times = Series(tuple(run([perdure(), *words])[0] for _ in range(REPEATS)), "s")
    return alone(f"`{name}`", times, Target("at most", most, "s"))
