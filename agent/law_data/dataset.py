"""Pools the checkpoints of runs, sweeps and tables into the dataset of a forgetting law.

A run gives one point per finished stage; a sweep or a table one per row. Only comparable points are pooled: one world,
one base, the same benchmarks, KL in one unit on the same prompts.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perdure.agent.law_data.runs import is_run, run_source
from perdure.agent.law_data.shared_prefixes import merge_shared_prefixes
from perdure.agent.law_data.source import HELD_OUT_ITEMS, TRAINING_PROMPTS, LawPoint, LawSource, Provenance
from perdure.agent.law_data.sweeps import is_sweep, is_table, sweep_sources, table_source
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget.base_id import PLAIN, kl_settings
from perdure.budget.errors import ConfigError, RunError
from perdure.budget.law.points import GENERIC_KL, Points
from perdure.curriculum.worlds.registry import nouns_of


@dataclass(frozen=True, eq=False)
class LawDataset:
    """The points and notes of all sources, and the name of their base, where it is known.

    Means over points, NaN where not known: `base_score` on the benchmarks, `base_entropy` over right answers in nats
    and `base_entropy_most`, the most that it may be. `probes`: the generic probes that were read, each with a source of
    it; where there are several, no point has its KL (see `Provenance.probe`).
    """

    points: Points
    benchmarks: tuple[str, ...]
    base_score: float
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    base_entropy: float = math.nan
    base_entropy_most: float = math.nan
    model: str = ""
    probes: Mapping[str | None, str] = field(default_factory=dict)

    @property
    def other_probes(self) -> str:
        """The probes, a line each, where they are not all on the same texts; otherwise empty."""
        lines = (f"\n  {path}: {_PROBES.get(probe, probe)}" for probe, path in self.probes.items())
        return "".join(lines) if _differ(self.probes) else ""


def select_methods(dataset: LawDataset, methods: Sequence[str]) -> LawDataset:
    """The points of some methods.

    Raises:
        ConfigError: a method without points.
    """
    known = sorted(set(dataset.points.method.tolist()))
    unknown = [name for name in methods if name not in known]
    if unknown:
        raise ConfigError(f"--method: no checkpoint is of {unknown[0]!r}; there are: {', '.join(known)}")
    return replace(dataset, points=dataset.points.select(np.isin(dataset.points.method, list(methods))))


def read_dataset(paths: Sequence[Path]) -> LawDataset:
    """Read and pool the points of all paths. A source that is named twice counts once.

    Raises:
        RunError: a path is missing, damaged, of another format version or without benchmarks; two have different
            worlds, bases, benchmarks, units, prompts or inputs; or none has a checkpoint yet.
    """
    found = without_parts({source.path.resolve(): source for path in paths for source in _sources(path)})
    sources = [source for source in found.values() if source.points]
    notes = [note for source in found.values() for note in source.notes]
    if not sources:
        listed = "".join(f"\n  {note}" for note in notes)
        raise RunError(f"there is no checkpoint in {', '.join(map(str, paths)) or 'nothing'} to fit a law to{listed}")
    refuse_mixtures(sources)
    probes = _probes(sources)
    alike = [_without_probe(point) if _differ(probes) else point for source in sources for point in source.points]
    points, merge_notes = merge_shared_prefixes(alike)
    return LawDataset(
        points=_points(points, sources[0].provenance),
        benchmarks=sources[0].provenance.benchmarks,
        base_score=float(_floats(point.base_score for point in points).mean()),
        sources=tuple(str(one.path) for one in sources),
        notes=(*notes, *merge_notes, *([f"{OTHER_PROBES}, so it is left out"] if _differ(probes) else [])),
        base_entropy=float(_floats(point.base_entropy for point in points).mean()),
        base_entropy_most=float(_floats(point.base_entropy_most for point in points).mean()),
        model=next((one.provenance.model for one in sources if one.provenance.model), ""),
        probes=probes,
    )


OTHER_PROBES = "the KL on the generic probe is not on the same texts in all runs (budget.generic)"


_PROBES: Mapping[str | None, str] = {
    "": "texts of the base itself",
    None: "not the same, or not known, in all its cells",
}


def _differ(probes: Mapping[str | None, str]) -> bool:
    return len(probes) > 1 or None in probes


def _probes(sources: Sequence[LawSource]) -> dict[str | None, str]:
    """The generic probes that were read, each with the first source of it."""
    read = [one for one in sources if any(_known(point.predictors.get(GENERIC_KL)) for point in one.points)]
    return {one.provenance.probe: str(one.path) for one in reversed(read)}


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _without_probe(point: LawPoint) -> LawPoint:
    return replace(point, predictors={name: kl for name, kl in point.predictors.items() if name != GENERIC_KL})


def without_parts(found: Mapping[Path, LawSource]) -> dict[Path, LawSource]:
    """The sources without the cells of a sweep that another source contains: its results, or the rows of the cell."""
    kept = {}
    for path, source in found.items():
        folder, cell = SweepFolder(path.parent.parent), path.name.removesuffix(".parquet")
        is_cell = path.parent == folder.cells
        rows = folder.rows(cell)
        in_results = folder.results in found and rows.is_file()
        if not (is_cell and (in_results or (path != rows and rows in found))):
            kept[path] = source
    return kept


def refuse_mixtures(sources: Sequence[LawSource]) -> None:
    """Refuse sources whose points do not belong to one law.

    Raises:
        RunError: names two sources, their difference and the remedy.
    """
    for what, value_of in _MUST_AGREE.items():
        known = [(source, value) for source in sources if (value := value_of(source.provenance))]
        for other, other_value in known[1:]:
            first, first_value = known[0]
            if first_value != other_value:
                raise RunError(
                    f"these cannot be pooled, since their {what} differ:\n  {first.path}: {first_value}\n  "
                    f"{other.path}: {other_value}\nFit a law to each by itself"
                )
    _refuse_other_benchmarks(sources)


def _refuse_other_benchmarks(sources: Sequence[LawSource]) -> None:
    """Benchmarks of one name are compared within a seed, as some draw their items by it."""
    seen: dict[tuple[str, str], tuple[LawSource, str]] = {}
    for source in sources:
        for seed in dict.fromkeys(point.seed for point in source.points):
            for name, fingerprint in source.provenance.fingerprints.items():
                first, known = seen.setdefault((seed, name), (source, fingerprint))
                if known != fingerprint:
                    raise RunError(
                        f"these cannot be pooled, since their benchmarks differ: {name} is not the same in\n"
                        f"  {first.path}: {known[:12]}\n  {source.path}: {fingerprint[:12]}\nFit a law to each by "
                        "itself"
                    )


_INPUTS: dict[str, str] = {
    HELD_OUT_ITEMS: "KL on held-out items (cells of a sweep that were trained together)",
    TRAINING_PROMPTS: "KL on training prompts (the monitor of a run)",
}
_MUST_AGREE: dict[str, Callable[[Provenance], str]] = {
    "worlds": lambda provenance: provenance.world,
    "settings of KL": lambda one: one.base and (kl_settings(one.base) or PLAIN),
    "bases": lambda provenance: provenance.base,
    "benchmarks": lambda provenance: ", ".join(sorted(provenance.benchmarks)),
    "units of KL": lambda provenance: f"nats per {nouns_of(provenance.world).unit(provenance.unit)}",
    "prompts": lambda provenance: f"KL on the prompts called `{provenance.prompts}` (budget.prompts)",
    "generic probes": lambda one: _PROBES.get(one.probe, one.probe or "") if one.prompts == "generic" else "",
    "inputs": lambda provenance: _INPUTS.get(provenance.inputs, ""),
}


def _sources(path: Path) -> Iterator[LawSource]:
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


def _points(points: Sequence[LawPoint], provenance: Provenance) -> Points:
    names = list(dict.fromkeys(name for point in points for name in point.predictors))
    return Points(
        run=np.array([point.run for point in points], dtype=np.str_),
        method=np.array([point.method for point in points], dtype=np.str_),
        forgetting=_floats(point.forgetting for point in points),
        accuracy=_floats(point.accuracy for point in points),
        mass=_floats(point.mass for point in points),
        base_mass=_floats(point.base_mass for point in points),
        predictors={name: _floats(point.predictors.get(name) for point in points) for name in names},
        world=provenance.world,
        base=provenance.base,
        unit=provenance.unit,
        prompts=provenance.prompts,
        seed=np.array([point.seed for point in points], dtype=np.str_),
    )


def _floats(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
