"""What a sweep came to: the cells that are done and those that failed, and one line a method."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from perdure.agent.run.folder import read_json
from perdure.agent.sweep.folder import SweepFolder, in_use, read_description
from perdure.budget.significance import student

LEVEL = 0.95
COLUMNS = {"accuracy": "accuracy", "forgetting": "forgetting", "kl": "kl_base_to_policy"}
OF_LIVES = ("average_accuracy", "task_forgetting", "benchmark_drop", "kl_spent", "excess", "life_seconds")
"""What lives of several stages are compared by (`perdure.agent.sweep.figures`)."""


@dataclass(frozen=True)
class Mean:
    """A mean over `n` runs with a 95 % interval; `None` where runs are too few, or all equal, and tell no spread."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Line:
    """One method: how many runs, how many of them broke (ended with figures that are no numbers), and its means.

    `lives` are the means of `OF_LIVES`; empty where no run is a life of several stages.
    """

    method: str
    runs: int
    broken: int
    accuracy: Mean
    forgetting: Mean
    kl: Mean
    lives: dict[str, Mean]


def sweep_object(folder: SweepFolder) -> dict[str, Any]:
    """What `perdure show SWEEP --json` prints: plain values, `None` for what is not known.

    `methods` are means over the last checkpoint of each run, with Student's interval over runs: KL is forward, in nats
    a token, accuracy is on the (last) new task, forgetting the mean drop of the benchmarks; both as fractions.

    Raises:
        RunError: a file cannot be read.
    """
    from perdure.agent.sweep.results import collect

    described = read_description(folder)
    cells = {cell["id"]: cell for cell in described["cells"]}
    table = collect(folder, list(cells), described["name"])
    done = [] if table is None else table.filter(table["final"]).to_pylist()
    finished = sum(folder.rows(cell).exists() for cell in cells)
    failed = [_failure(folder, cell) for id, cell in cells.items() if is_failed(folder, id)]
    return {
        "sweep": described["name"],
        "folder": str(folder.path),
        "status": _status(folder, waiting=len(cells) - finished - len(failed), finished=finished),
        "cells": len(cells),
        "finished": finished,
        "failed": failed,
        "methods": [asdict(line) for line in by_method(done)],
        "results": str(folder.results) if folder.results.exists() else None,
    }


def by_method(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """One line a method, in the order of the sweep, from the last row of each run."""
    names = dict.fromkeys(str(row["method"]) for row in rows)
    return [_line(name, [row for row in rows if row["method"] == name]) for name in names]


def is_failed(folder: SweepFolder, cell: str) -> bool:
    """Whether a cell failed when it was last tried."""
    return folder.failure(cell).exists() and not folder.rows(cell).exists()


def mean(values: Sequence[float]) -> Mean:
    """The mean of those that are numbers, with Student's interval."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Mean(None, None, None, 0)
    value, n = math.fsum(known) / len(known), len(known)
    if n < 2 or max(known) == min(known):
        return Mean(value, None, None, n)
    variance = math.fsum((one - value) ** 2 for one in known) / (n - 1)
    return Mean(value, *student(value, math.sqrt(variance / n), n - 1, LEVEL), n)


def _line(name: str, rows: Sequence[Mapping[str, Any]]) -> Line:
    figures = {key: [_number(row.get(column)) for row in rows] for key, column in COLUMNS.items()}
    broken = sum(not math.isfinite(kl) for kl in figures["kl"])
    several = any((row.get("stage") or 1) > 1 for row in rows)
    lives = {key: mean([_number(row.get(key)) for row in rows]) for key in OF_LIVES} if several else {}
    return Line(name, len(rows), broken, **{key: mean(values) for key, values in figures.items()}, lives=lives)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _failure(folder: SweepFolder, cell: Mapping[str, Any]) -> dict[str, Any]:
    told = read_json(folder.failure(cell["id"]))
    return {"cell": cell["id"], "seed": cell["seed"], "values": cell["values"], "reason": told["reason"]}


def _status(folder: SweepFolder, *, waiting: int, finished: int) -> str:
    if in_use(folder):
        return "running"
    told = folder.results.exists() or not finished
    return "finished" if told and not waiting else "interrupted"
