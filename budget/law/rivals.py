"""Forward KL among its rivals: the same fit on the same checkpoints for every predictor, compared with forward KL.

The difference of two R² is resampled in pairs: both curves are fitted again on the same drawn runs. A rival is tied
with forward KL if the interval of their difference contains zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.curves import FALLING, can_fit, curve_kind
from perdure.budget.law.fit import Fit, fit_sample
from perdure.budget.law.points import (
    FORWARD_KL,
    GENERIC_KL,
    NEW_TASK_PREDICTORS,
    OLD_TASK_PREDICTORS,
    UPDATE_PREDICTORS,
    Points,
)
from perdure.budget.law.resample import LEVEL, RESAMPLES, Interval, percentile
from perdure.budget.law.sample import MIN_RUNS, Sample, check_enough, sample_of, usable

MeasuredOn = Literal["new task", "generic", "update", "old task"]
Verdict = Literal["first", "tied", "behind"]

PREDICTORS: Mapping[str, MeasuredOn] = {
    **dict.fromkeys(NEW_TASK_PREDICTORS, "new task"),
    GENERIC_KL: "generic",
    **dict.fromkeys(UPDATE_PREDICTORS, "update"),
    **dict.fromkeys(OLD_TASK_PREDICTORS, "old task"),
}
"""Where each predictor is measured."""

UNRANKED: tuple[MeasuredOn, ...] = ("generic", "old task")
"""Ranks say which measure is best, not where it is taken: these are measured elsewhere, or need the old task."""

_ROUNDING = 1e-9

SIMILARITY_PREDICTORS = ("update_sparsity",)
"""Predictors that are large if little changed: their monotone curve falls."""

Drawn = tuple[Fit, NDArray[np.float64]]
"""A fit, and the in-sample R² of the same curve on each resample of the runs (B,)."""

KINDS = ("quadratic", "monotone")


@dataclass(frozen=True)
class Standing:
    """One predictor under one kind of curve.

    `difference` is its R² less that of forward KL on the same checkpoints (`None` for forward KL itself); `tied`: its
    interval contains zero. `rank` counts from 1, by that difference, among those of ranked places; ties
    stand in the order of `PREDICTORS`.
    """

    fit: Fit
    difference: Interval | None
    tied: bool | None
    rank: int | None


@dataclass(frozen=True)
class Rival:
    """One predictor: its standing by kind of curve, or why it has none."""

    predictor: str
    place: MeasuredOn
    standings: Mapping[str, Standing]
    missing: str | None


def compare_predictors(
    points: Points,
    kinds: Sequence[str] = KINDS,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Rival, ...]:
    """Compare all predictors, in the order of `PREDICTORS`, each on the checkpoints with its own value and forward KL.

    Raises:
        DataError: too few checkpoints or runs, or forward KL is constant.
    """
    check_enough(sample_of(points, FORWARD_KL), max(curve_kind(kind).fewest for kind in kinds))
    draw = _Draw(level, resamples, seed)
    mask_P = usable(points, FORWARD_KL)
    known = {kind: draw.fit(sample_of(points, FORWARD_KL, mask_P), kind) for kind in kinds}
    rivals = [_rival(points, predictor, kinds, draw, known) for predictor in PREDICTORS]
    return _ranked(rivals, kinds)


def verdict(rivals: Sequence[Rival], kind: str = "quadratic") -> Verdict | None:
    """The standing of forward KL among the ranked predictors; `None` if a better one has no interval."""
    standings = {r.predictor: r.standings[kind] for r in rivals if kind in r.standings and r.place not in UNRANKED}
    own = standings[FORWARD_KL].rank
    if own is None or own == 1:
        return None if own is None else "first"
    ahead = [s.tied for s in standings.values() if s.rank is not None and s.rank < own]
    if None in ahead:
        return None
    return "tied" if all(ahead) else "behind"


@dataclass(frozen=True)
class _Draw:
    """The settings of resampling: the same for every predictor, so that the same runs are drawn."""

    level: float
    resamples: int
    seed: int

    def fit(self, sample: Sample, kind: str) -> Drawn:
        """Fit one predictor with one kind of curve; the monotone one falls for `SIMILARITY_PREDICTORS`."""
        if kind == "monotone" and sample.predictor in SIMILARITY_PREDICTORS:
            kind = FALLING
        return fit_sample(sample, kind, level=self.level, resamples=self.resamples, seed=self.seed)


def _rival(points: Points, predictor: str, kinds: Sequence[str], draw: _Draw, known: Mapping[str, Drawn]) -> Rival:
    place = PREDICTORS[predictor]
    if predictor == FORWARD_KL:
        return Rival(predictor, place, {k: Standing(fit, None, None, None) for k, (fit, _) in known.items()}, None)
    kl_P = usable(points, FORWARD_KL)
    mask_P = usable(points, predictor) & kl_P
    sample, kl = sample_of(points, predictor, mask_P), sample_of(points, FORWARD_KL, mask_P)
    fittable = [k for k in kinds if sample.runs >= MIN_RUNS and can_fit(k, sample.x_P) and can_fit(k, kl.x_P)]
    if not fittable:
        reason = "the same everywhere, or too few values" if mask_P.any() else "not measured"
        return Rival(predictor, place, {}, reason)
    whole = bool((mask_P == kl_P).all())
    found = {k: _standing(draw.fit(sample, k), known[k] if whole else draw.fit(kl, k), draw.level) for k in fittable}
    return Rival(predictor, place, found, None)


def _standing(drawn: Drawn, kl_drawn: Drawn, level: float) -> Standing:
    (fit, samples_B), (kl_fit, kl_samples_B) = drawn, kl_drawn
    if fit.r2.value is None or kl_fit.r2.value is None:
        return Standing(fit, None, None, None)
    difference = percentile(fit.r2.value - kl_fit.r2.value, samples_B - kl_samples_B, fit.runs, level)
    tied = None
    if difference.low is not None and difference.high is not None:
        tied = difference.low <= _ROUNDING and difference.high >= -_ROUNDING
    return Standing(fit, difference, tied, None)


def _ranked(rivals: Sequence[Rival], kinds: Sequence[str]) -> tuple[Rival, ...]:
    ranks: dict[tuple[str, str], int] = {}
    for kind in kinds:
        gains = {r.predictor: round(gain, 9) for r in rivals if (gain := _gain(r, kind)) is not None}
        ranks |= {(name, kind): place for place, name in enumerate(sorted(gains, key=lambda n: -gains[n]), start=1)}
    return tuple(
        replace(r, standings={k: replace(s, rank=ranks.get((r.predictor, k))) for k, s in r.standings.items()})
        for r in rivals
    )


def _gain(rival: Rival, kind: str) -> float | None:
    """The R² of a predictor less that of forward KL on the same checkpoints; `None`: not ranked."""
    standing = rival.standings.get(kind)
    if standing is None or standing.fit.r2.value is None or rival.place in UNRANKED:
        return None
    if rival.predictor == FORWARD_KL:
        return 0.0
    return None if standing.difference is None else standing.difference.value
