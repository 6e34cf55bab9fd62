"""The points of a sweep: its table of results, or what is there of it while it runs. One point a row."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perdure.agent.law_data.source import HELD_OUT, TRAINING, Origin, Point, Source
from perdure.agent.sweep.folder import SweepFolder, read_description
from perdure.agent.sweep.results import FORMAT, METADATA, POOLED, PREDICTORS
from perdure.budget.errors import RunError
from perdure.budget.law.floor import FLOOR

COLUMNS = ("cell", "seed", "method", "forgetting", "accuracy", "mass", "base_mass")
MEASURED = (*PREDICTORS, FLOOR)
NEEDED = ("cell", "method", "forgetting", "accuracy", "kl_base_to_policy")


def is_sweep(path: Path) -> bool:
    """Whether a sweep folder is there."""
    folder = SweepFolder(path)
    return folder.description.is_file() or folder.results.is_file()


def is_table(path: Path) -> bool:
    """Whether a file of results is there."""
    return path.suffix == ".parquet" and path.is_file()


def sweep_sources(path: Path) -> Iterator[Source]:
    """The table at the end of a sweep; before its end the cells that are done. A note says what is missing.

    Raises:
        RunError: as `table_source`.
    """
    folder = SweepFolder(path)
    finished = folder.results.is_file()
    files = [folder.results] if finished else sorted(filter(is_table, folder.cells.glob("*.parquet")))
    failed = len(list(folder.failed.glob("*.json")))
    notes = [] if finished else [f"{path} is not finished: {len(files)} of {_cells(_all_cells(folder))} so far"]
    notes += [f"{path}: {_cells(failed)} failed, and {'is' if failed == 1 else 'are'} not in the law"] if failed else []
    yield Source(path, Origin("", "", "", "", ()), (), tuple(notes))
    yield from (table_source(file, name=str(path)) for file in files)


def _all_cells(folder: SweepFolder) -> int:
    cells = read_description(folder).get("cells")
    return len(cells) if isinstance(cells, list) else 0


def _cells(count: int) -> str:
    return f"{count} cell{'s' * (count != 1)}"


def table_source(path: Path, name: str | None = None) -> Source:
    """The points of one .parquet file. Runs are its cells, called after `name` (default: the file).

    Raises:
        RunError: damaged, not written by a sweep, of another format version, without benchmarks or without a column.
    """
    try:
        table = pq.ParquetFile(path).read()
    except OSError as error:
        raise RunError(f"cannot read {path}: {error}") from error
    except pa.ArrowException as error:
        raise RunError(f"{path} is damaged, or no .parquet file: {error}") from error
    about = _about(path, table.schema.metadata or {})
    missing = [column for column in NEEDED if column not in table.column_names]
    if missing:
        raise RunError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
    benchmarks = tuple(map(str, about["benchmarks"]))
    if not benchmarks:
        raise RunError(f"{path} has no benchmarks, so there is no forgetting to fit a law to: name some in the sweep")
    scores = [f"base_score.{benchmark}" for benchmark in benchmarks]
    wanted = [column for column in (*COLUMNS, *MEASURED, *scores) if column in table.column_names]
    rows = tuple(_point(name or str(path), row, benchmarks) for row in table.select(wanted).to_pylist())
    inputs = _inputs(path, rows)
    pooled = (about["world"], about["base_id"], about["unit"], about["prompts"])
    origin = Origin(*pooled, benchmarks, inputs, about.get("benchmark_fingerprints") or {})
    return Source(path, origin, rows, () if rows else (f"{path} has no rows",))


def _inputs(path: Path, rows: Sequence[Point]) -> str:
    """What the KL of the rows was measured on.

    A cell that was trained in a stack is measured on held-out items, with the mass of right answers; a cell that is a
    life of its own has the readings of its monitor, on training prompts, and no mass.
    """
    measured = {row.run for row in rows if _known(row.predictors["kl_base_to_policy"])}
    with_mass = {row.run for row in rows if _known(row.mass)}
    if measured & with_mass and measured - with_mass:
        raise RunError(
            f"{path} holds cells whose KL is over held-out items and lives whose KL is over training prompts, and they "
            f"cannot be pooled: give the cells that agree one by one ({path.parent / 'cells'}/*.parquet)"
        )
    return HELD_OUT if measured & with_mass else TRAINING if measured else ""


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _about(path: Path, metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What the file says of itself."""
    if METADATA not in metadata:
        raise RunError(f"{path} is no table of results of perdure sweep: it does not say what world and base it is of")
    try:
        about = json.loads(metadata[METADATA])
        version = about["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged: what it says of itself cannot be read ({error!r})") from error
    if version != FORMAT:
        raise RunError(
            f"{path} holds results of format {version}, and this version of perdure reads format {FORMAT}: use the "
            "version that wrote it, or run the sweep again"
        )
    missing = [key for key in POOLED if key not in about]
    if missing:
        raise RunError(f"{path} is damaged: it does not say its {', '.join(missing)}")
    mixed = [key for key in POOLED if about[key] is None]
    if mixed:
        raise RunError(
            f"{path} holds cells that differ in their {', '.join(mixed)}, and cannot be pooled: give the cells that "
            f"agree one by one ({path.parent / 'cells'}/*.parquet)"
        )
    return dict(about)


def _point(name: str, row: Mapping[str, Any], benchmarks: tuple[str, ...]) -> Point:
    return Point(
        run=f"{name}/{row['cell']}/{row.get('seed')}",
        method=str(row["method"]),
        forgetting=row["forgetting"],
        accuracy=row["accuracy"],
        mass=row.get("mass"),
        base_mass=row.get("base_mass"),
        base_score=_base_score(row, benchmarks),
        seed="" if row.get("seed") is None else str(row["seed"]),
        predictors={column: row[column] for column in MEASURED if column in row},
    )


def _base_score(row: Mapping[str, Any], benchmarks: tuple[str, ...]) -> float | None:
    scores = [row.get(f"base_score.{name}") for name in benchmarks]
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if len(known) == len(scores) else None
