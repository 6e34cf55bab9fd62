"""The summary of a sweep: its finished and failed cells, and the means of each method."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from perdure.agent.run.folder import read_json
from perdure.agent.run.lock import is_held
from perdure.agent.sweep.folder import SweepFolder, read_description, runs_now
from perdure.budget.errors import RunError
from perdure.budget.significance import student

LEVEL = 0.95
AXIS = "axis."
COLUMNS = {"accuracy": "accuracy", "forgetting": "forgetting", "kl": "kl_base_to_policy"}
RUN_FIGURES = ("average_accuracy", "task_forgetting", "benchmark_drop", "kl_spent", "excess", "life_seconds")
"""Figures by which runs of several stages are compared (`perdure.agent.sweep.figures`)."""


@dataclass(frozen=True)
class Mean:
    """A mean over `n` runs with a 95 % interval; `None` with fewer than two runs, or if all are equal."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class MethodMeans:
    """The number of runs of one method, of those that broke (a final KL that is not finite), and its means.

    `lives` are the means of `RUN_FIGURES`; empty if no run has several stages.
    """

    method: str
    runs: int
    broken: int
    accuracy: Mean
    forgetting: Mean
    kl: Mean
    lives: dict[str, Mean]


def sweep_object(folder: SweepFolder) -> dict[str, Any]:
    """The object that `perdure show SWEEP --json` prints; `None`: unknown.

    `waiting` are the cells that neither finished nor failed; `running` those that a process runs alone. `pooled`: see
    `pooled_axes`. `methods` are means over the last checkpoint of each run (`whole_runs`), with Student's interval over
    runs: forward KL in nats per token, accuracy on the last new task, forgetting as the mean drop of the benchmarks;
    both as fractions.

    Raises:
        RunError: a file cannot be read.
    """
    from perdure.agent.sweep.results import collect, provenance_of

    described = read_description(folder)
    try:
        cells = {cell["id"]: {key: cell[key] for key in ("id", "seed", "values")} for cell in described["cells"]}
        strategies = {cell["id"]: _strategy(cell) for cell in described["cells"]}
        name = str(described["name"])
    except (LookupError, TypeError) as error:
        raise RunError(f"{folder.description} is damaged: it does not say what the sweep is ({error!r})") from error
    table = collect(folder, list(cells), name)
    provenance = {} if table is None else provenance_of(table)
    final_rows = [] if table is None else whole_runs(table.to_pylist(), strategies)
    return {
        "sweep": name,
        "folder": str(folder.path),
        "world": provenance.get("world"),
        "base_id": provenance.get("base_id"),
        **_state(folder, cells),
        "methods": [asdict(one) for one in by_method(final_rows)],
        "pooled": pooled_axes(final_rows),
        "results": str(folder.results) if folder.results.exists() else None,
    }


def _strategy(cell: Mapping[str, Any]) -> str | None:
    """The strategy by which a cell without an arm chooses methods; `None`: none is chosen."""
    curriculum = cell["curriculum"]
    given = all(stage.get("method") for stage in curriculum["stages"])
    kind = str(curriculum["strategy"]["type"])
    return None if given or kind == "fixed" or cell["values"].get("arm") is not None else kind


def whole_runs(rows: Sequence[Mapping[str, Any]], strategies: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """The last row of each run; of one of several stages `method` is that of the run.

    That is the strategy by cell, where one chose, or else all methods of its stages.
    """
    methods: dict[str, dict[str, None]] = {}
    for row in rows:
        methods.setdefault(row["cell"], {})[str(row["method"])] = None
    last = [dict(row) for row in rows if row["final"]]
    for row in last:
        if (row.get("stage") or 1) > 1:
            row["method"] = strategies.get(row["cell"]) or ", ".join(methods[row["cell"]])
    return last


def _state(folder: SweepFolder, cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The sweep's status, and how far its cells are."""
    unfinished = [cell for cell in cells if not folder.rows(cell).exists()]
    failed = [_failure(folder, cells[cell]) for cell in unfinished if folder.failure(cell).exists()]
    tried = {one["cell"] for one in failed}
    waiting = [cell for cell in unfinished if cell not in tried]
    running = [cell for cell in unfinished if runs_now(folder, cell)]
    finished = len(cells) - len(unfinished)
    return {
        "status": _status(folder, running=bool(running), waiting=bool(waiting), finished=finished),
        "cells": len(cells),
        "finished": finished,
        "failed": failed,
        "waiting": waiting,
        "running": running,
    }


def pooled_axes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The axes of which some method has several values, so that its means are over them."""
    seen: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        for key in row:
            if key.startswith(AXIS):
                seen.setdefault((key, str(row["method"])), set()).add(repr(row[key]))
    return list(dict.fromkeys(key.removeprefix(AXIS) for (key, _), values in seen.items() if len(values) > 1))


def by_method(rows: Sequence[Mapping[str, Any]]) -> list[MethodMeans]:
    """The means of each method, in the order of the sweep, from the last row of each run."""
    names = dict.fromkeys(str(row["method"]) for row in rows)
    return [_method_means(name, [row for row in rows if row["method"] == name]) for name in names]


def mean_over_runs(values: Sequence[float]) -> Mean:
    """The mean of the finite values, with Student's interval."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Mean(None, None, None, 0)
    value, n = math.fsum(known) / len(known), len(known)
    if n < 2 or max(known) == min(known):
        return Mean(value, None, None, n)
    variance = math.fsum((one - value) ** 2 for one in known) / (n - 1)
    return Mean(value, *student(value, math.sqrt(variance / n), n - 1, LEVEL), n)


def _method_means(name: str, rows: Sequence[Mapping[str, Any]]) -> MethodMeans:
    figures = {key: [_number(row.get(column)) for row in rows] for key, column in COLUMNS.items()}
    broken = sum(not math.isfinite(kl) for kl in figures["kl"])
    several = any((row.get("stage") or 1) > 1 for row in rows)
    lives = {key: mean_over_runs([_number(row.get(key)) for row in rows]) for key in RUN_FIGURES} if several else {}
    means = {key: mean_over_runs(values) for key, values in figures.items()}
    return MethodMeans(name, len(rows), broken, **means, lives=lives)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _failure(folder: SweepFolder, cell: Mapping[str, Any]) -> dict[str, Any]:
    try:
        reason = read_json(folder.failure(cell["id"])).get("reason", "unknown")
    except RunError as error:
        reason = str(error)
    return {"cell": cell["id"], "seed": cell["seed"], "values": cell["values"], "reason": reason}


def _status(folder: SweepFolder, *, running: bool, waiting: bool, finished: int) -> str:
    if running or is_held(folder.path):
        return "running"
    complete = not waiting and (folder.results.exists() or not finished)
    return "finished" if complete else "interrupted"
