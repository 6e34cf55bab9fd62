"""A law, from which a monitor predicts forgetting at a KL; `file.py` reads and writes it. No numpy, no scipy.

It holds the points between which curve and interval are linear, the range of the law (world, base, unit and
prompts of the KL) and the coverage of its interval on held-out runs. The KL is that on the task, on the generic probe,
or both: then forgetting is the sum of two curves.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from perdure.budget.base_id import kl_settings
from perdure.budget.figures import KL_ROUNDING

Predictor = Literal["task", "generic", "both"]
PREDICTORS: tuple[Predictor, ...] = get_args(Predictor)
"""The KL that a law predicts from: on the task's inputs, on the generic probe's, or both."""

PREFERS = 0.75
"""A base whose entropy over right answers is below this share of the most possible prefers some of them."""


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
        world, base, unit, prompts: where the law holds; unit and prompts of its KL (`generic`: the generic probe).
        benchmarks: `forgetting` is their mean drop.
        kl, forgetting: the curve, linear between these points, `kl` rising. Below the first it is linear from the base,
            at KL 0 and forgetting 0.
        width_kl, below, above: the reach of the interval below and above the curve, linear between these points. A law
            of both KLs has `width_forgetting` in place of `width_kl`: its reach is by the forgetting that it predicts.
        level: the share of new runs' checkpoints that the interval is made for; of R runs at most (R - 1) / (R + 1).
        coverage: that share, measured on held-out runs.
        coverage_methods: the same with all runs of a method held out; `None` with one method.
        methods, runs, points: those it was fitted on.
        coverage_seeds: the same with all runs of a seed held out; `None` with one seed.
        base_entropy: the base's entropy over right answers, in nats, which may be at most `base_entropy_most`; `None`:
            not known.
        predictor: `task`, `generic` or `both`: whose KL is `kl`; of both it is the task's.
        kl_generic, forgetting_generic: what a law of both adds for the KL on the generic probe, linear between them.
        model: the base's name; empty if not known.
        probe: of a KL on the generic probe: empty on the base's own openings, else as `Provenance.probe`.
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
    predictor: Predictor = "task"
    kl_generic: tuple[float, ...] = ()
    forgetting_generic: tuple[float, ...] = ()
    width_forgetting: tuple[float, ...] = ()
    model: str = ""
    probe: str = ""

    def __post_init__(self) -> None:
        if self.predictor not in PREDICTORS:
            raise ValueError(f"predictor is one of {', '.join(PREDICTORS)}, not {self.predictor!r}")
        _check_knots("kl", self.kl, self.forgetting)
        if self.predictor == "both":
            _check_knots("kl_generic", self.kl_generic, self.forgetting_generic)
            _check_knots("width_forgetting", self.width_forgetting, self.below, self.above)
        else:
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

    @property
    def needs_generic(self) -> bool:
        """True if the law predicts from the KL on the generic probe."""
        return self.predictor != "task"

    @property
    def on_probe(self) -> bool:
        """True if a KL that it was fitted to is on the generic probe."""
        return self.needs_generic or self.prompts == "generic"

    @property
    def kind(self) -> str:
        """The kind of base, as far as it is known: world, model, precision, and preferences among right answers."""
        known = [f"{self.world} world", self.model, kl_settings(self.base) or "", self._preferences]
        return ", ".join(filter(None, known))

    @property
    def _preferences(self) -> str:
        if self.base_entropy is None or self.base_entropy_most is None:
            return ""
        word = "prefers some of the" if self.base_entropy < PREFERS * self.base_entropy_most else "indifferent among"
        return (
            f"{word} right answers (entropy over right answers {self.base_entropy:.2f} of "
            f"{self.base_entropy_most:.2f} nats)"
        )

    def counts(self, unit: str, prompts: str) -> bool:
        """True if a KL in this unit on these prompts (of a budget) is all that the law predicts from."""
        if self.needs_generic:
            return self.unit == unit and self.predictor == prompts == "generic"
        tasks = ("seen", "task")
        return self.unit == unit and (self.prompts == prompts or (self.prompts in tasks and prompts in tasks))

    def predict(self, kl: float, kl_generic: float | None = None) -> Prediction:
        """Predict forgetting at a KL in nats per `unit`; a law of both also needs that on the generic probe.

        Raises:
            ValueError: a KL is NaN, or a law of both has only one.
        """
        if math.isnan(kl) or (kl_generic is not None and math.isnan(kl_generic)):
            raise ValueError("no forgetting can be predicted from a KL of NaN")
        value = _interpolate(kl, *from_base(self.kl, self.forgetting))
        at, widths = kl, self.width_kl
        inside = min(self.kl_min, -KL_ROUNDING) <= kl <= self.kl_max
        if self.predictor == "both":
            if kl_generic is None:
                raise ValueError("a law of both predictors needs the KL on the generic probe beside that on the task")
            value += _interpolate(kl_generic, *from_base(self.kl_generic, self.forgetting_generic))
            at, widths = value, self.width_forgetting
            inside &= min(self.kl_generic[0], -KL_ROUNDING) <= kl_generic <= self.kl_generic[-1]
        low = value - _interpolate(at, widths, self.below)
        high = value + _interpolate(at, widths, self.above)
        return Prediction(value, low, high, inside)


def from_base(kl: tuple[float, ...], forgetting: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The points of a curve, with the base before them if they begin above it."""
    return ((0.0, *kl), (0.0, *forgetting)) if kl[0] > 0 else (kl, forgetting)


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
