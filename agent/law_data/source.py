"""What a run, a sweep or a table gives to the pool: rows, and what must be the same in all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Origin:
    """Where points come from; they pool only with points of an equal one.

    `inputs`: what the KL was measured on, `held out` or `training prompts` of the task; empty where it is not known.
    `fingerprints`: of the benchmarks by name, as far as they are known. They may depend on the curriculum's seed.
    """

    world: str
    base: str
    unit: str
    prompts: str
    benchmarks: tuple[str, ...]
    inputs: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)


HELD_OUT, TRAINING = "held out", "training prompts"


@dataclass(frozen=True)
class Point:
    """One checkpoint; `None` is not known. Predictors by the names of `perdure.budget.law.points`.

    `base_score` is the base's mean score on the benchmarks, `seed` the curriculum's.
    """

    run: str
    method: str
    forgetting: float | None
    accuracy: float | None
    mass: float | None = None
    base_mass: float | None = None
    base_score: float | None = None
    seed: str = ""
    predictors: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """The points of one file or run folder at `path`."""

    path: Path
    origin: Origin
    rows: tuple[Point, ...]
    notes: tuple[str, ...] = ()
