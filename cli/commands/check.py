"""`perdure check RUN`: gates on what a run kept and learned, for CI."""

from pathlib import Path

from perdure.agent.run.find import find_run, read_run
from perdure.agent.run.gates import Gate, GateResult, check_gates
from perdure.agent.run.percent import format_score, metric_in_percent
from perdure.budget.errors import ConfigError, GateError
from perdure.cli.console import say


def check_command(path: Path, forgetting: float | None, drop: float | None, accuracy: float | None) -> None:
    """Print the verdict of each gate; limits are in points, or as scores are where these are no shares.

    Raises:
        GateError: a gate failed.
        ConfigError: no gate is named.
        RunError: there is no such run, it is not finished, or a gate cannot be tested.
    """
    named = (("forgetting", forgetting, True), ("benchmark_drop", drop, True), ("average_accuracy", accuracy, False))
    limits = [(metric, limit, most) for metric, limit, most in named if limit is not None]
    if not limits:
        raise ConfigError("name a gate: --max-forgetting POINTS, --max-benchmark-drop POINTS or --min-accuracy POINTS")
    folder = find_run(path)
    record, _ = read_run(folder)
    percent = {metric: metric_in_percent(record, metric) for metric, _, _ in limits}
    gates = [Gate(metric, limit / 100 if percent[metric] else limit, most) for metric, limit, most in limits]
    found = [(one, _describe(one, percent[one.gate.metric])) for one in check_gates(record, folder, gates)]
    for one, words in found:
        if one.verdict != "failed":
            say(words)
    failed = [words for one, words in found if one.verdict == "failed"]
    if failed:
        raise GateError("\n".join(failed))


VERDICTS = {
    "passed": "passed",
    "failed": "FAILED",
    "noise": "passed: beyond the limit, but within noise",
}


def _describe(one: GateResult, percent: bool) -> str:
    """`FAILED: forgetting 8.0 points [4.1, 12.2], at most 3: word -12.0 points, p = 0.0005`."""
    value, low, high = (format_score(part, percent) for part in (one.value.value, one.value.low, one.value.high))
    interval = "" if one.value.low is None or one.value.high is None else f" [{low}, {high}]"
    bound = f"{'at most' if one.gate.most else 'at least'} {(100 if percent else 1) * one.gate.limit:g}"
    drops = f": {'; '.join(one.drops)}" if one.drops else ""
    words = one.gate.metric.replace("_", " ")
    return f"{VERDICTS[one.verdict]}: {words} {value}{' points' if percent else ''}{interval}, {bound}{drops}"
