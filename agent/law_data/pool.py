"""The checkpoints of many runs, pooled for the forgetting law: from run folders, from sweeps and from tables.

A run gives one point a stage that is done; a sweep or a table gives one a row. Pooled is only what can be compared: one
world, one base, the same benchmarks, KL in one unit on the same prompts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perdure.agent.law_data.runs import is_run, run_source
from perdure.agent.law_data.shared_prefixes import merge_twins
from perdure.agent.law_data.source import HELD_OUT, TRAINING, Origin, Point, Source
from perdure.agent.law_data.sweeps import is_sweep, is_table, sweep_sources, table_source
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget.errors import ConfigError, RunError
from perdure.budget.law.points import Points


@dataclass(frozen=True, eq=False)
class Pool:
    """The points of all sources, what they have in common, and what is to be said about single ones.

    `base_score` is the mean over the points of their base's mean score on the benchmarks; NaN if one is not known.
    """

    points: Points
    benchmarks: tuple[str, ...]
    base_score: float
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def only_methods(pool: Pool, methods: Sequence[str]) -> Pool:
    """The points of some methods.

    Raises:
        ConfigError: a method that no point is of.
    """
    known = sorted(set(pool.points.method.tolist()))
    unknown = [name for name in methods if name not in known]
    if unknown:
        raise ConfigError(f"--method: no checkpoint is of {unknown[0]!r}; there are: {', '.join(known)}")
    return replace(pool, points=pool.points.select(np.isin(pool.points.method, list(methods))))


def read_pool(paths: Sequence[Path]) -> Pool:
    """The points, and all that is known about where they come from. What is named twice counts once.

    Raises:
        RunError: one of them is missing, damaged, of another format version or without benchmarks; two of them are of
            different worlds, bases, benchmarks, units, prompts or inputs; or none has a checkpoint yet.
    """
    found = without_parts({source.path.resolve(): source for path in paths for source in _sources(path)})
    sources = [source for source in found.values() if source.rows]
    notes = [note for source in found.values() for note in source.notes]
    if not sources:
        said = "".join(f"\n  {note}" for note in notes)
        raise RunError(f"there is no checkpoint in {', '.join(map(str, paths)) or 'nothing'} to fit a law to{said}")
    refuse_mixtures(sources)
    rows, said_of_twins = merge_twins([row for source in sources for row in source.rows])
    return Pool(
        points=_points(rows, sources[0].origin),
        benchmarks=sources[0].origin.benchmarks,
        base_score=float(_floats(row.base_score for row in rows).mean()),
        sources=tuple(str(one.path) for one in sources),
        notes=(*notes, *said_of_twins),
    )


def without_parts(found: Mapping[Path, Source]) -> dict[Path, Source]:
    """The sources but for those cells of a sweep that another source holds: its results, or the rows of the cell."""
    kept = {}
    for path, source in found.items():
        folder, cell = SweepFolder(path.parent.parent), path.name.removesuffix(".parquet")
        is_cell = path.parent == folder.cells
        rows = folder.rows(cell)
        in_results = folder.results in found and rows.is_file()
        if not (is_cell and (in_results or (path != rows and rows in found))):
            kept[path] = source
    return kept


def refuse_mixtures(sources: Sequence[Source]) -> None:
    """Points that differ in one of these are not points of one law.

    Raises:
        RunError: naming two sources, in what they differ, and what to do.
    """
    for what, value_of in _ALIKE.items():
        known = [(source, value) for source in sources if (value := value_of(source.origin))]
        for other, theirs in known[1:]:
            first, ours = known[0]
            if ours != theirs:
                raise RunError(
                    f"these cannot be pooled, since their {what} differ:\n  {first.path}: {ours}\n  {other.path}: "
                    f"{theirs}\nFit a law to each by itself"
                )
    _refuse_other_benchmarks(sources)


def _refuse_other_benchmarks(sources: Sequence[Source]) -> None:
    """Benchmarks of one name are compared within a seed, since the items of some are drawn by it."""
    seen: dict[tuple[str, str], tuple[Source, str]] = {}
    for source in sources:
        for seed in dict.fromkeys(row.seed for row in source.rows):
            for name, fingerprint in source.origin.fingerprints.items():
                first, known = seen.setdefault((seed, name), (source, fingerprint))
                if known != fingerprint:
                    raise RunError(
                        f"these cannot be pooled, since their benchmarks differ: what is called {name} is not the same "
                        f"in\n  {first.path}: {known[:12]}\n  {source.path}: {fingerprint[:12]}\nFit a law to each by "
                        "itself"
                    )


_INPUTS: dict[str, str] = {
    HELD_OUT: "KL on held-out items (cells of a sweep that were trained together)",
    TRAINING: "KL on training prompts (the monitor of a life)",
}
_ALIKE: dict[str, Callable[[Origin], str]] = {
    "worlds": lambda origin: origin.world,
    "bases": lambda origin: origin.base,
    "benchmarks": lambda origin: ", ".join(sorted(origin.benchmarks)),
    "units of KL": lambda origin: f"nats a {origin.unit}",
    "prompts": lambda origin: f"KL on the prompts called `{origin.prompts}` (budget.prompts)",
    "inputs": lambda origin: _INPUTS.get(origin.inputs, ""),
}


def _sources(path: Path) -> Iterator[Source]:
    if is_run(path):
        yield run_source(path)
    elif is_sweep(path):
        yield from sweep_sources(path)
    elif is_table(path):
        yield table_source(path)
    elif not path.exists():
        raise RunError(f"{path} does not exist; a law is fitted to run folders, sweep folders or .parquet files")
    else:
        raise RunError(
            f"{path} is no run folder (it has no journal.jsonl), no sweep folder (no sweep.json) and no .parquet file"
        )


def _points(rows: Sequence[Point], origin: Origin) -> Points:
    names = list(dict.fromkeys(name for row in rows for name in row.predictors))
    return Points(
        run=np.array([row.run for row in rows], dtype=np.str_),
        method=np.array([row.method for row in rows], dtype=np.str_),
        forgetting=_floats(row.forgetting for row in rows),
        accuracy=_floats(row.accuracy for row in rows),
        mass=_floats(row.mass for row in rows),
        base_mass=_floats(row.base_mass for row in rows),
        predictors={name: _floats(row.predictors.get(name) for row in rows) for name in names},
        world=origin.world,
        base=origin.base,
        unit=origin.unit,
        prompts=origin.prompts,
        seed=np.array([row.seed for row in rows], dtype=np.str_),
    )


def _floats(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
