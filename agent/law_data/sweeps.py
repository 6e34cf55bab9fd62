"""The points of a sweep, one per row of its table of results, or of its finished cells while it runs."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from perdure.agent.law_data.source import (
    HELD_OUT_ITEMS,
    TRAINING_PROMPTS,
    LawPoint,
    LawSource,
    Provenance,
    unknown_probe,
)
from perdure.agent.sweep.folder import SweepFolder, read_description
from perdure.agent.sweep.results import FORMAT, METADATA, PREDICTORS, PROBE, PROVENANCE, read_table
from perdure.budget.errors import RunError
from perdure.budget.law.floor import FLOOR
from perdure.curriculum.worlds.registry import worlds

ENTROPIES = ("base_entropy", "base_entropy_most")
COLUMNS = ("cell", "seed", "method", "forgetting", "accuracy", "mass", "base_mass", *ENTROPIES)
PREDICTOR_COLUMNS = (*PREDICTORS, FLOOR)
REQUIRED_COLUMNS = ("cell", "method", "forgetting", "accuracy", "kl_base_to_policy")


def is_sweep(path: Path) -> bool:
    """True for a sweep folder."""
    folder = SweepFolder(path)
    return folder.description.is_file() or folder.results.is_file()


def is_table(path: Path) -> bool:
    """True for a file of results."""
    return path.suffix == ".parquet" and path.is_file()


def sweep_sources(path: Path) -> Iterator[LawSource]:
    """The table of a finished sweep, or its finished cells; a note names those that are missing.

    Raises:
        RunError: as `table_source`.
    """
    folder = SweepFolder(path)
    finished = folder.results.is_file()
    files = [folder.results] if finished else sorted(filter(is_table, folder.cells.glob("*.parquet")))
    failed = len(list(folder.failed.glob("*.json")))
    notes = [] if finished else [f"{path} is not finished: {len(files)} of {_cells(_all_cells(folder))} so far"]
    notes += [f"{path}: {_cells(failed)} failed, and {'is' if failed == 1 else 'are'} not in the law"] if failed else []
    yield LawSource(path, Provenance("", "", "", "", ()), (), tuple(notes))
    yield from (table_source(file, name=str(path)) for file in files)


def _all_cells(folder: SweepFolder) -> int:
    cells = read_description(folder).get("cells")
    return len(cells) if isinstance(cells, list) else 0


def _cells(count: int) -> str:
    return f"{count} cell{'s' * (count != 1)}"


def table_source(path: Path, name: str | None = None) -> LawSource:
    """The points of one .parquet file. Runs are its cells, with names that begin with `name` (default: the file).

    Raises:
        RunError: damaged, not written by a sweep, of another format version, without benchmarks or without a column.
    """
    try:
        table = read_table(path)
    except OSError as error:
        raise RunError(f"cannot read {path}: {error}") from error
    except (pa.ArrowException, ValueError) as error:
        raise RunError(f"{path} is damaged, or no .parquet file: {error}") from error
    about = _about(path, table.schema.metadata or {})
    missing = [column for column in REQUIRED_COLUMNS if column not in table.column_names]
    if missing:
        raise RunError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
    benchmarks = tuple(map(str, about["benchmarks"]))
    if not benchmarks:
        raise RunError(f"{path} has no benchmarks, so there is no forgetting to fit a law to: name some in the sweep")
    scores = [f"base_score.{benchmark}" for benchmark in benchmarks]
    wanted = [column for column in (*COLUMNS, *PREDICTOR_COLUMNS, *scores) if column in table.column_names]
    points = tuple(_point(name or str(path), row, benchmarks) for row in table.select(wanted).to_pylist())
    known = (about["world"], about["base_id"], about["unit"], about["prompts"])
    fingerprints = about.get("benchmark_fingerprints") or {}
    more = (fingerprints, str(about.get("model") or ""), _probe(path, about))
    provenance = Provenance(*known, benchmarks, _inputs(path, points), *more)
    return LawSource(path, provenance, points, () if points else (f"{path} has no rows",))


def _probe(path: Path, about: Mapping[str, Any]) -> str | None:
    """See `Provenance.probe`; a world that reads no text has but the base's own."""
    spec = worlds().get(about["world"])
    if spec is not None and not spec.reads_text:
        return ""
    probe: str | None = about.get(PROBE, unknown_probe(path))  # older versions did not write it
    return probe


def _inputs(path: Path, points: Sequence[LawPoint]) -> str:
    """The inputs that the KL of the points was measured on.

    A cell trained in a stack is measured on held-out items and has a mass of right answers; a cell that is a run of its
    own has the readings of its monitor, on training prompts, and no mass.
    """
    measured = {point.run for point in points if _known(point.predictors["kl_base_to_policy"])}
    with_mass = {point.run for point in points if _known(point.mass)}
    if measured & with_mass and measured - with_mass:
        raise RunError(
            f"{path} holds cells whose KL is over held-out items and runs whose KL is over training prompts, and they "
            f"cannot be pooled: give the cells that agree one by one ({path.parent / 'cells'}/*.parquet)"
        )
    return HELD_OUT_ITEMS if measured & with_mass else TRAINING_PROMPTS if measured else ""


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _about(path: Path, metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The metadata of the file."""
    if METADATA not in metadata:
        raise RunError(f"{path} is no table of results of perdure sweep: it does not name its world and base")
    try:
        about = json.loads(metadata[METADATA])
        version = about["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged: its metadata cannot be read ({error!r})") from error
    if version != FORMAT:
        raise RunError(
            f"{path} holds results of format {version}, and this version of perdure reads format {FORMAT}: use the "
            "version that wrote it, or run the sweep again"
        )
    missing = [key for key in PROVENANCE if key not in about]
    if missing:
        raise RunError(f"{path} is damaged: it does not name its {', '.join(missing)}")
    mixed = [key for key in PROVENANCE if about[key] is None]
    mixed += [PROBE] if about["prompts"] == "generic" and about["world"] and _probe(path, about) is None else []
    if mixed:
        raise RunError(
            f"{path} holds cells that differ in their {', '.join(mixed)}, and cannot be pooled: give the cells that "
            f"agree one by one ({path.parent / 'cells'}/*.parquet)"
        )
    return dict(about)


def _point(name: str, row: Mapping[str, Any], benchmarks: tuple[str, ...]) -> LawPoint:
    return LawPoint(
        run=f"{name}/{row['cell']}/{row.get('seed')}",
        method=str(row["method"]),
        forgetting=row["forgetting"],
        accuracy=row["accuracy"],
        mass=row.get("mass"),
        base_mass=row.get("base_mass"),
        base_score=_base_score(row, benchmarks),
        base_entropy=row.get("base_entropy"),
        base_entropy_most=row.get("base_entropy_most"),
        seed="" if row.get("seed") is None else str(row["seed"]),
        predictors={column: row[column] for column in PREDICTOR_COLUMNS if column in row},
    )


def _base_score(row: Mapping[str, Any], benchmarks: tuple[str, ...]) -> float | None:
    scores = [row.get(f"base_score.{name}") for name in benchmarks]
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if len(known) == len(scores) else None
