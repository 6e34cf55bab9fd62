"""The points of one run, sweep or table, with their provenance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """The provenance of points; they pool only with points of an equal one.

    `inputs`: `held out` or `training prompts` of the task, whichever the KL was measured on; empty if unknown.
    `fingerprints`: the known ones of the benchmarks by name; they may depend on the curriculum's seed. `model`: the
    name of the base; empty if unknown. `probe`: whose texts the generic probe is on: empty for the base's own openings,
    else the SHA-256 of the file of `budget.generic`, or `builtin:NAME`; older runs of a file say that it is not known.
    `None`: it is not the same, or not known, in all cells of a table.
    """

    world: str
    base: str
    unit: str
    prompts: str
    benchmarks: tuple[str, ...]
    inputs: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    probe: str | None = ""


def unknown_probe(path: Path) -> str:
    """The probe of a source that does not say on which texts it was: no other is equal to it."""
    return f"not known, of {path}"


HELD_OUT_ITEMS, TRAINING_PROMPTS = "held out", "training prompts"


@dataclass(frozen=True)
class LawPoint:
    """One checkpoint; `None`: unknown. Predictors by the names of `perdure.budget.law.points`.

    `base_score` is the base's mean score on the benchmarks, `base_entropy` its entropy over right answers in nats and
    `base_entropy_most` the most that may be, `seed` the curriculum's.
    """

    run: str
    method: str
    forgetting: float | None
    accuracy: float | None
    mass: float | None = None
    base_mass: float | None = None
    base_score: float | None = None
    base_entropy: float | None = None
    base_entropy_most: float | None = None
    seed: str = ""
    predictors: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class LawSource:
    """The points of one file or run folder at `path`."""

    path: Path
    provenance: Provenance
    points: tuple[LawPoint, ...]
    notes: tuple[str, ...] = ()
