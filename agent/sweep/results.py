"""The results of a sweep as parquet: one file per finished cell, and one of all cells at the end.

One row per checkpoint. The provenance of the rows (world, base, unit, prompts, benchmarks), which must agree before
rows are pooled, is JSON in the file's schema metadata under the key `perdure`; `null` there: the cells differ. So are
the fingerprints of the benchmarks, which may be unknown and may differ between seeds, the name of the model, and the
texts of the generic probe.
`sha256` there is of the rows and of the rest of the metadata; files of older versions have none.
"""

import json
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perdure.agent.sweep.contract import FinishedCell
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget.errors import RunError
from perdure.budget.files import write_atomic
from perdure.budget.law.points import GENERIC_KL, NEW_TASK_PREDICTORS, OLD_TASK_PREDICTORS, UPDATE_PREDICTORS
from perdure.curriculum.strategies import FixedStrategy

FORMAT = 1
METADATA = b"perdure"
PROVENANCE = ("world", "base_id", "unit", "prompts", "benchmarks")
FINGERPRINTS = "benchmark_fingerprints"
MODEL = "model"
PROBE = "probe"
SHA256 = "sha256"
IDENTIFYING_COLUMNS = {
    **{"cell": pa.string(), "method": pa.string(), "seed": pa.int64(), "stage": pa.int64(), "task": pa.string()},
    **{"step": pa.int64(), "steps": pa.int64(), "final": pa.bool_()},
}
MEASURED_COLUMNS = ("accuracy", "mass", "base_mass", "base_entropy", "base_entropy_most", "kl_floor", "forgetting")
PREDICTORS = (*NEW_TASK_PREDICTORS, GENERIC_KL, *UPDATE_PREDICTORS, *OLD_TASK_PREDICTORS)


def write_cell(folder: SweepFolder, finished: FinishedCell, sweep: str, axes: Mapping[str, Sequence[Any]]) -> None:
    """Write the rows of one cell atomically. `axes` are the values of each axis in the whole sweep.

    Raises:
        OSError: such as a full disk.
    """
    table = _with_provenance(cell_table(finished, axes), {**finished.provenance, "sweep": sweep})
    write_atomic(folder.rows(finished.cell.id), _bytes(table))


def cell_table(finished: FinishedCell, axes: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The rows of one cell; NaN: not measured. A column has one type in all cells of a sweep."""
    cell = finished.cell
    common = {"cell": cell.id, "method": cell.arm or _method(finished), "seed": cell.seed, "seconds": math.nan}
    kinds = {name: axis_type(values) for name, values in axes.items()}
    varied = {f"axis.{name}": _as(kinds[name], cell.values[name]) for name in axes}
    rows = [{**common, **row, **varied} for row in finished.rows]
    types = IDENTIFYING_COLUMNS | {f"axis.{name}": kind for name, kind in kinds.items()}
    names = _ordered([*types, *dict.fromkeys(name for row in rows for name in row)])
    columns = {}
    for name in names:
        kind = types.get(name, pa.float64())
        missing = math.nan if kind == pa.float64() else None
        columns[name] = pa.array([row.get(name, missing) for row in rows], kind)
    return pa.table(columns)


def axis_type(values: Sequence[Any]) -> pa.DataType:
    """The column type of an axis: boolean, integer, float or text; other values are written as JSON text."""
    if all(isinstance(value, bool) for value in values):
        return pa.bool_()
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return pa.string()
    return pa.int64() if all(isinstance(value, int) and abs(value) < 2**63 for value in values) else pa.float64()


def collect(folder: SweepFolder, cells: Sequence[str], sweep: str) -> pa.Table | None:
    """The rows of all finished cells, in the order of `cells`; `None` if there are none.

    Raises:
        RunError: a file cannot be read.
    """
    tables = [_read(folder, cell) for cell in cells if folder.rows(cell).exists()]
    if not tables:
        return None
    provenances = [provenance_of(table) for table in tables]
    common = {key: _common([one.get(key) for one in provenances]) for key in (*PROVENANCE, FINGERPRINTS, MODEL, PROBE)}
    table = pa.concat_tables(tables, promote_options="permissive")
    return _with_provenance(table.select(_ordered(table.column_names)), {**common, "sweep": sweep})


def write_results(folder: SweepFolder, table: pa.Table) -> None:
    """Write the table of all rows atomically."""
    write_atomic(folder.results, _bytes(table), shared=True)


def _method(finished: FinishedCell) -> str:
    """The method that the curriculum names; rows of runs name their own."""
    curriculum = finished.cell.curriculum
    strategy = curriculum.strategy
    return curriculum.stages[0].method or (strategy.method if isinstance(strategy, FixedStrategy) else "none")


def _as(kind: pa.DataType, value: Any) -> Any:
    return json.dumps(value) if kind == pa.string() and not isinstance(value, str) else value


def _ordered(names: Sequence[str]) -> list[str]:
    """Columns in order: identifying, axes, measured, scores, predictors, others, seconds."""
    known = [*IDENTIFYING_COLUMNS, *(name for name in names if name.startswith("axis.")), *MEASURED_COLUMNS]
    known += [name for prefix in ("score.", "base_score.") for name in names if name.startswith(prefix)]
    known += PREDICTORS
    other = [name for name in names if name not in known and name != "seconds"]
    present = {*names, *MEASURED_COLUMNS, *PREDICTORS}
    return list(dict.fromkeys(name for name in (*known, *other, "seconds") if name in present))


def _with_provenance(table: pa.Table, provenance: Mapping[str, Any]) -> pa.Table:
    about = {"format": FORMAT, **provenance}
    return table.replace_schema_metadata({METADATA: json.dumps({**about, SHA256: _digest(table, about)})})


def read_table(path: Path) -> pa.Table:
    """The rows of a file of results, which must be those that were written.

    Raises:
        OSError, ArrowException: it cannot be read.
        ValueError: it holds other rows, or other metadata, than were written.
    """
    table = pq.ParquetFile(path).read()
    about = (table.schema.metadata or {}).get(METADATA)
    known = json.loads(about) if about is not None else {}
    if isinstance(known, dict) and known.get(SHA256) not in (None, _digest(table, known)):
        raise ValueError("its SHA-256 differs from that of the rows that were written")
    return table


def _digest(table: pa.Table, about: Mapping[str, Any]) -> str:
    """SHA-256 of all values of a table, and of what its metadata say."""
    rest = {key: value for key, value in about.items() if key != SHA256}
    digest = sha256(json.dumps(rest, sort_keys=True).encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(json.dumps([name, str(column.type)]).encode())
        if column.type == pa.float64():
            values = np.array(column.to_numpy(), dtype="<f8")
            digest.update(np.where(np.isnan(values), np.nan, values).tobytes())
        else:
            digest.update(json.dumps(column.to_pylist()).encode())
    return digest.hexdigest()


def provenance_of(table: pa.Table) -> dict[str, Any]:
    """The provenance of the rows of a table; `None` there: the cells differ."""
    return dict(json.loads((table.schema.metadata or {})[METADATA]))


def _common(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def _read(folder: SweepFolder, cell: str) -> pa.Table:
    path = folder.rows(cell)
    try:
        table = read_table(path)
        provenance_of(table)
        others = set(table["cell"].to_pylist()) - {cell}
        if others:
            raise ValueError(f"it holds rows of cell {others.pop()}")
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}); remove it, and perdure resume repeats the cell") from error
    return table
