"""The results of a sweep as parquet: a file a finished cell, and one of all at the end.

One row a checkpoint. What must agree before rows are pooled (world, base, unit, prompts, benchmarks) stands in the
file's schema metadata under the key `perdure`, as JSON; `null` there says that the cells do not agree. So do the
fingerprints of the benchmarks, which may be unknown, and which may differ between seeds.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perdure.agent.sweep.contract import Finished
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget.errors import RunError
from perdure.budget.files import write_whole
from perdure.budget.law.points import OF_THE_UPDATE, ON_THE_NEW_TASK, ON_THE_OLD_TASK
from perdure.curriculum.strategies import FixedStrategy

FORMAT = 1
METADATA = b"perdure"
POOLED = ("world", "base_id", "unit", "prompts", "benchmarks")
FINGERPRINTS = "benchmark_fingerprints"
ABOUT = {
    **{"cell": pa.string(), "method": pa.string(), "seed": pa.int64(), "stage": pa.int64(), "task": pa.string()},
    **{"step": pa.int64(), "steps": pa.int64(), "final": pa.bool_()},
}
MEASURED = ("accuracy", "mass", "base_mass", "kl_floor", "forgetting")
PREDICTORS = (*ON_THE_NEW_TASK, *OF_THE_UPDATE, *ON_THE_OLD_TASK)


def write_cell(folder: SweepFolder, finished: Finished, sweep: str, axes: Mapping[str, Sequence[Any]]) -> None:
    """Write the rows of one cell, whole or not at all. `axes` are the values of each axis in the whole sweep.

    Raises:
        OSError: the disk is full, for one.
    """
    table = cell_table(finished, axes)
    _write(folder, finished.cell.id, _with_origin(table, {**finished.origin, "sweep": sweep}))


def cell_table(finished: Finished, axes: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The rows of one cell. What a row does not measure is NaN; a column has one type in all cells of a sweep."""
    cell = finished.cell
    common = {"cell": cell.id, "method": cell.arm or _method(finished), "seed": cell.seed, "seconds": math.nan}
    kinds = {name: axis_type(values) for name, values in axes.items()}
    varied = {f"axis.{name}": _as(kinds[name], cell.values[name]) for name in axes}
    rows = [{**common, **row, **varied} for row in finished.rows]
    types = ABOUT | {f"axis.{name}": kind for name, kind in kinds.items()}
    names = _ordered([*types, *dict.fromkeys(name for row in rows for name in row)])
    columns = {}
    for name in names:
        kind = types.get(name, pa.float64())
        missing = math.nan if kind == pa.float64() else None
        columns[name] = pa.array([row.get(name, missing) for row in rows], kind)
    return pa.table(columns)


def axis_type(values: Sequence[Any]) -> pa.DataType:
    """Of an axis' values: truth, whole numbers, numbers, or text; anything else is told as JSON text."""
    if all(isinstance(value, bool) for value in values):
        return pa.bool_()
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return pa.string()
    return pa.int64() if all(isinstance(value, int) and abs(value) < 2**63 for value in values) else pa.float64()


def collect(folder: SweepFolder, cells: Sequence[str], sweep: str) -> pa.Table | None:
    """The rows of all cells that are finished, in the order of `cells`; `None` if none is.

    Raises:
        RunError: a file cannot be read.
    """
    tables = [_read(folder, cell) for cell in cells if folder.rows(cell).exists()]
    if not tables:
        return None
    origins = [_origin(table) for table in tables]
    agreed = {key: _agreed([origin.get(key) for origin in origins]) for key in (*POOLED, FINGERPRINTS)}
    together = pa.concat_tables(tables, promote_options="permissive")
    return _with_origin(together.select(_ordered(together.column_names)), {**agreed, "sweep": sweep})


def write_results(folder: SweepFolder, table: pa.Table) -> None:
    """Write the table of all rows, whole or not at all."""
    write_whole(folder.results, _bytes(table))


def _method(finished: Finished) -> str:
    """The method that the curriculum names; rows of lives say theirs themselves."""
    curriculum = finished.cell.curriculum
    strategy = curriculum.strategy
    return curriculum.stages[0].method or (strategy.method if isinstance(strategy, FixedStrategy) else "none")


def _as(kind: pa.DataType, value: Any) -> Any:
    return json.dumps(value) if kind == pa.string() and not isinstance(value, str) else value


def _ordered(names: Sequence[str]) -> list[str]:
    """What a row is about, its axes, scores, predictors, whatever else there is, and the seconds."""
    known = [*ABOUT, *(name for name in names if name.startswith("axis.")), *MEASURED]
    known += [name for prefix in ("score.", "base_score.") for name in names if name.startswith(prefix)]
    known += PREDICTORS
    other = [name for name in names if name not in known and name != "seconds"]
    return list(dict.fromkeys(name for name in (*known, *other, "seconds") if name in {*names, *MEASURED, *PREDICTORS}))


def _with_origin(table: pa.Table, origin: Mapping[str, Any]) -> pa.Table:
    return table.replace_schema_metadata({METADATA: json.dumps({"format": FORMAT, **origin})})


def _origin(table: pa.Table) -> dict[str, Any]:
    return dict(json.loads((table.schema.metadata or {})[METADATA]))


def _agreed(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def _write(folder: SweepFolder, cell: str, table: pa.Table) -> None:
    write_whole(folder.rows(cell), _bytes(table))


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def _read(folder: SweepFolder, cell: str) -> pa.Table:
    path = folder.rows(cell)
    try:
        table = pq.ParquetFile(path).read()
        _origin(table)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}); remove it, and perdure resume repeats the cell") from error
    return table
