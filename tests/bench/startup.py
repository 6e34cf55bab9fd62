"""Commands that must answer at once."""

from tests.bench.figures import Options, Report, Series, Target, alone
from tests.bench.processes import perdure, run

REPEATS = 5


def measure(_: Options) -> Report:
    """`--help` and `validate`, from the shell's point of view."""
    target = Target("at most", 0.5, "s")
    commands = (["--help"], ["validate", "demo"])
    times = [Series(tuple(run([perdure(), *words])[0] for _ in range(REPEATS)), "s") for words in commands]
    names = [f"`perdure {' '.join(words)}`" for words in commands]
    return Report(tuple(alone(name, series, target) for name, series in zip(names, times, strict=True)))
