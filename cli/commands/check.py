"""`perdure check RUN`: gates on what a run kept and learned, for CI."""

from pathlib import Path

from perdure.agent.run.find import find_run, read_run
from perdure.agent.run.gates import Gate, GateResult, check_gates
from perdure.budget.errors import ConfigError, GateError
from perdure.cli.console import say


def check_command(path: Path, forgetting: float | None, drop: float | None, accuracy: float | None) -> None:
    """Print the verdict of each gate; limits are in points.

    Raises:
        GateError: a gate failed.
        ConfigError: no gate is named.
        RunError: there is no such run, it is not finished, or a gate cannot be tested.
    """
    gates = [
        Gate(metric, limit / 100, most)
        for metric, limit, most in (
            ("forgetting", forgetting, True),
            ("benchmark_drop", drop, True),
            ("average_accuracy", accuracy, False),
        )
        if limit is not None
    ]
    if not gates:
        raise ConfigError("name a gate: --max-forgetting POINTS, --max-benchmark-drop POINTS or --min-accuracy POINTS")
    folder = find_run(path)
    record, _ = read_run(folder)
    found = check_gates(record, folder, gates)
    for one in found:
        if one.verdict != "failed":
            say(_describe(one))
    failed = [_describe(one) for one in found if one.verdict == "failed"]
    if failed:
        raise GateError("\n".join(failed))


VERDICTS = {
    "passed": "passed",
    "failed": "FAILED",
    "noise": "passed: beyond the limit, but within noise",
}


def _describe(one: GateResult) -> str:
    """`FAILED: forgetting 8.0 points [4.1, 12.2], at most 3: word -12.0 points, p = 0.0005`."""
    interval = (
        "" if one.value.low is None or one.value.high is None else f" [{_p(one.value.low)}, {_p(one.value.high)}]"
    )
    bound = f"{'at most' if one.gate.most else 'at least'} {100 * one.gate.limit:g}"
    drops = f": {'; '.join(one.drops)}" if one.drops else ""
    words = one.gate.metric.replace("_", " ")
    return f"{VERDICTS[one.verdict]}: {words} {_p(one.value.value or 0.0)} points{interval}, {bound}{drops}"


def _p(value: float) -> str:
    return f"{100 * value:.1f}"
