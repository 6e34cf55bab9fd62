"""Gates on what a run kept and learned, for CI. Imports no torch.

A gate fails if its metric is beyond the limit and the items show that this is no noise: if the whole 95 % interval of
the metric is beyond it. The interval is a bootstrap over items, the same draw for every row of the table, so that it
is of paired differences (`perdure.eval.metrics.metrics_with_intervals`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from perdure.agent.run.percent import format_change, in_percent
from perdure.agent.run.report import change_of, damaged_scores, metric_estimates, read_items
from perdure.agent.run.state import RunState, StageState
from perdure.budget.errors import RunError
from perdure.eval.metrics import MetricEstimate

GateVerdict = Literal["passed", "failed", "noise"]


@dataclass(frozen=True)
class Gate:
    """A limit on a metric, as a fraction: at most (`most`) or at least that."""

    metric: str
    limit: float
    most: bool = True


@dataclass(frozen=True)
class GateResult:
    """A gate and its verdict; `noise`: beyond the limit, but the interval is not. `drops` say where it was lost."""

    gate: Gate
    verdict: GateVerdict
    value: MetricEstimate
    drops: tuple[str, ...] = ()


def check_gates(record: RunState, run_folder: Path, gates: Sequence[Gate]) -> list[GateResult]:
    """Every gate with its verdict.

    Raises:
        RunError: the run is not finished; a metric is not known, or cannot be tested, such as without score files.
    """
    if record.status != "finished":
        raise RunError(f"{run_folder} is not finished; a gate is on a whole run: perdure resume {run_folder}")
    metrics = metric_estimates(record, run_folder)
    return [_result(record, run_folder, gate, metrics) for gate in gates]


def _result(record: RunState, folder: Path, gate: Gate, metrics: Mapping[str, MetricEstimate]) -> GateResult:
    found, words = metrics[gate.metric], gate.metric.replace("_", " ")
    if found.value is None:
        raise RunError(f"{folder} has no {words}: {NEEDS[gate.metric]}")
    sign = 1 if gate.most else -1
    if sign * found.value <= sign * gate.limit:
        return GateResult(gate, "passed", found)
    drops = tuple(_drops(record, folder, gate.metric))
    if found.low is None or found.high is None:
        fault = damaged_scores(record, folder)
        if fault is not None:
            raise RunError(f"{fault}: {words} cannot be tested; put the file back from a copy")
        # every item changed alike, so that no draw of items gives another figure; or there is a single item
        return GateResult(gate, "failed" if _items(record) > 1 else "noise", found, drops)
    end = found.low if gate.most else found.high
    return GateResult(gate, "failed" if sign * end > sign * gate.limit else "noise", found, drops)


NEEDS = {
    "forgetting": "it takes two stages",
    "benchmark_drop": "it takes a benchmark",
    "average_accuracy": "nothing was scored",
}


def _items(record: RunState) -> int:
    return min((one.n for row in record.rows for one in row.scores.values()), default=0)


def _drops(record: RunState, folder: Path, metric: str) -> Iterator[str]:
    """The tasks or benchmarks that lost, the most first, each by a paired test; nothing for an accuracy."""
    last = record.rows[-1]
    pairs: list[tuple[StageState, str]] = []
    if metric == "benchmark_drop":
        pairs = [(record.rows[0], name) for name in record.benchmarks]
    elif metric == "forgetting":
        earlier = [(row, record.rows[row.stage : -1]) for row in record.rows[1:-1]]
        pairs = [(max(rows, key=lambda one: one.scores[row.name].value), row.name) for row, rows in earlier]
    found = []
    for before, name in pairs:
        items = read_items(before, name, folder), read_items(last, name, folder)
        if items[0] is not None and items[1] is not None and items[0].keys() == items[1].keys():
            change = change_of(items[0], items[1], by_member=name in last.by_member)
            p = "" if change.p_value is None else f", p = {change.p_value:.2g}"
            words = format_change(change.difference, in_percent(record, [name]))
            found.append((change.difference, f"{name} {words}{p}"))
    return (words for difference, words in sorted(found) if difference < 0)
