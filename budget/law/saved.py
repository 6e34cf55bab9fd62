"""A law in a JSON file, from which a monitor predicts forgetting at a KL. No numpy, no scipy.

The file holds the points between which curve and interval are linear, the range of the law (world, base, unit and
prompts of the KL) and the coverage of its interval on held-out runs.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.budget.files import write_atomic

FORMAT = 1
_MARK = "perdure law"
_ROUNDING = 1e-6
"""The measured KL of the base to itself may be this far below zero."""


@dataclass(frozen=True)
class Prediction:
    """Forgetting predicted for a new run, as fractions; those at the end of the law's range if not `inside` it."""

    value: float
    low: float
    high: float
    inside: bool


@dataclass(frozen=True)
class Coverage:
    """The share of `points` checkpoints of `runs` held-out runs within the interval made without those runs.

    `low` and `high` are an interval of that share from resampling the runs; `None` below five runs.
    """

    covered: float
    low: float | None
    high: float | None
    points: int
    runs: int


@dataclass(frozen=True)
class Law:
    """Forgetting against forward KL, with an interval for a checkpoint of a new run.

    Attributes:
        world, base, unit, prompts: where the law holds; unit and prompts of its KL.
        benchmarks: `forgetting` is their mean drop.
        kl, forgetting: the curve, linear between these points, `kl` rising. Below the first it is linear from the base,
            at KL 0 and forgetting 0.
        width_kl, below, above: the reach of the interval below and above the curve, linear between these points.
        level: the share of new runs' checkpoints that the interval is made for; of R runs at most (R - 1) / (R + 1).
        coverage: that share, measured on held-out runs.
        coverage_methods: the same with all runs of a method held out; `None` with one method.
        methods, runs, points: those it was fitted on.
        coverage_seeds: the same with all runs of a seed held out; `None` with one seed.
        base_entropy: the base's entropy over right answers, in nats, which may be at most `base_entropy_most`; `None`:
            not known.
    """

    world: str
    base: str
    unit: str
    prompts: str
    benchmarks: tuple[str, ...]
    kl: tuple[float, ...]
    forgetting: tuple[float, ...]
    width_kl: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]
    level: float
    coverage: Coverage
    coverage_methods: Coverage | None
    methods: tuple[str, ...]
    runs: int
    points: int
    coverage_seeds: Coverage | None = None
    base_entropy: float | None = None
    base_entropy_most: float | None = None

    def __post_init__(self) -> None:
        _check_knots("kl", self.kl, self.forgetting)
        _check_knots("width_kl", self.width_kl, self.below, self.above)
        if not 0 < self.level < 1:
            raise ValueError(f"a level lies between 0 and 1, got {self.level}")
        if min(*self.below, *self.above) < 0:
            raise ValueError("an interval cannot have a negative reach below or above its curve")

    @property
    def kl_min(self) -> float:
        """The lowest KL of the curve, in nats."""
        return self.kl[0]

    @property
    def kl_max(self) -> float:
        """The highest KL of the curve, in nats."""
        return self.kl[-1]

    def predict(self, kl: float) -> Prediction:
        """Predict forgetting at a KL in nats per `unit`.

        Raises:
            ValueError: the KL is NaN.
        """
        if math.isnan(kl):
            raise ValueError("no forgetting can be predicted from a KL of NaN")
        value = _interpolate(kl, *from_base(self.kl, self.forgetting))
        low = value - _interpolate(kl, self.width_kl, self.below)
        high = value + _interpolate(kl, self.width_kl, self.above)
        return Prediction(value, low, high, min(self.kl_min, -_ROUNDING) <= kl <= self.kl_max)


def from_base(kl: tuple[float, ...], forgetting: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The points of a curve, with the base before them if they begin above it."""
    return ((0.0, *kl), (0.0, *forgetting)) if kl[0] > 0 else (kl, forgetting)


def save_law(law: Law, path: Path) -> None:
    """Write a law atomically; the folder must exist.

    Raises:
        OSError: the file cannot be written.
    """
    present = {name: value for name, value in asdict(law).items() if value is not None or name not in _OPTIONAL}
    content = {"what": _MARK, "format": FORMAT, **present}
    write_atomic(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def load_law(path: str | Path) -> Law:
    """Read a law.

    Raises:
        ConfigError: the file is missing, unreadable, no law, of another format, or damaged.
    """
    try:
        content = json.loads(Path(path).read_bytes(), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; make a law by perdure law RUN… --save {path}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON, or truncated ({error}); {_remedy(path)}") from error
    if not isinstance(content, dict) or content.get("what") != _MARK:
        raise ConfigError(f"{path}: not a law saved by perdure; make one by perdure law RUN… --save FILE")
    if content.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: a law of format {content.get('format')!r}; this perdure reads format {FORMAT}; {_remedy(path)}"
        )
    try:
        return _law({key: value for key, value in content.items() if key not in ("what", "format")})
    except ValueError as error:
        raise ConfigError(f"{path}: a damaged law: {error}; {_remedy(path)}") from error


def _remedy(path: str | Path) -> str:
    return f"make it again by perdure law RUN… --save {path}"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed in a law")


def _law(content: Mapping[str, Any]) -> Law:
    return Law(**_read({**dict.fromkeys(_OPTIONAL), **content}, Law, _LAW))


def _read(content: Any, kind: type, readers: Mapping[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    """The fields of one dataclass from JSON; a ValueError names the faulty field."""
    if not isinstance(content, dict):
        raise ValueError(f"{kind.__name__.lower()} is not a set of named values")
    names = [field.name for field in fields(kind)]
    missing, unknown = [n for n in names if n not in content], [n for n in content if n not in names]
    if missing or unknown:
        raise ValueError(f"{(missing or unknown)[0]} is {'missing' if missing else 'unknown'}")
    return {name: readers[name](name, content[name]) for name in names}


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is not a finite number")
    return float(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is not a count")
    return value


def _optional_number(name: str, value: Any) -> float | None:
    return None if value is None else _number(name, value)


def _list_of(reader: Callable[[str, Any], Any]) -> Callable[[str, Any], tuple[Any, ...]]:
    def read(name: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"{name} is not a list")
        return tuple(reader(name, item) for item in value)

    return read


def _coverage(name: str, value: Any) -> Coverage:
    return Coverage(**_read(value, Coverage, _COVERAGE))


def _optional_coverage(name: str, value: Any) -> Coverage | None:
    return None if value is None else _coverage(name, value)


_OPTIONAL = ("coverage_seeds", "base_entropy", "base_entropy_most")
"""Fields that a file may lack."""

_COVERAGE: Mapping[str, Callable[[str, Any], Any]] = {
    "covered": _number,
    "low": _optional_number,
    "high": _optional_number,
    "points": _count,
    "runs": _count,
}
_LAW: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("world", "base", "unit", "prompts"), _text),
    **dict.fromkeys(("benchmarks", "methods"), _list_of(_text)),
    **dict.fromkeys(("kl", "forgetting", "width_kl", "below", "above"), _list_of(_number)),
    "level": _number,
    "coverage": _coverage,
    "coverage_methods": _optional_coverage,
    "coverage_seeds": _optional_coverage,
    "base_entropy": _optional_number,
    "base_entropy_most": _optional_number,
    "runs": _count,
    "points": _count,
}


def _check_knots(name: str, x: tuple[float, ...], *ys: tuple[float, ...]) -> None:
    if len(x) < 2 or any(len(y) != len(x) for y in ys):
        raise ValueError(f"{name} and what belongs to it need two or more points, and as many of each")
    if not all(math.isfinite(value) for values in (x, *ys) for value in values):
        raise ValueError(f"{name} and what belongs to it must be finite")
    if any(right <= left for left, right in pairwise(x)):
        raise ValueError(f"{name} must rise")


def _interpolate(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    """Linear interpolation; the nearest end outside the points."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    right = bisect_right(xs, x)
    share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + share * (ys[right] - ys[right - 1])
