"""Forward KL among its rivals: every predictor with the same fit on the same checkpoints, and its distance to KL.

The difference of two R² is resampled in pairs: both curves are fitted again on the same drawn runs, so that what the
two share falls out. A rival of which the interval of that difference holds zero cannot be told from forward KL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.curves import FALLING, can_fit, kind_of
from perdure.budget.law.fit import Fit, fit_sample
from perdure.budget.law.points import FORWARD_KL, OF_THE_UPDATE, ON_THE_NEW_TASK, ON_THE_OLD_TASK, Points
from perdure.budget.law.resample import LEVEL, RESAMPLES, Interval, percentile
from perdure.budget.law.sample import MIN_RUNS, Sample, check_enough, take, usable

Place = Literal["new task", "update", "old task"]
Verdict = Literal["first", "tied", "behind"]

PREDICTORS: Mapping[str, Place] = {
    **dict.fromkeys(ON_THE_NEW_TASK, "new task"),
    **dict.fromkeys(OF_THE_UPDATE, "update"),
    **dict.fromkeys(ON_THE_OLD_TASK, "old task"),
}
"""Where each predictor is measured; those of the old task need its inputs, and are not ranked with the others."""

_ROUNDING = 1e-9

LARGE_WHERE_LITTLE_CHANGED = ("update_sparsity",)
"""Forgetting falls as these rise, and so does their monotone curve."""

Drawn = tuple[Fit, NDArray[np.float64]]
"""A fit, and the in-sample R² of the same curve on each resample of the runs (B,)."""

KINDS = ("quadratic", "monotone")


@dataclass(frozen=True)
class Standing:
    """One predictor under one kind of curve.

    `difference` is its R² less that of forward KL on the same checkpoints (`None` for forward KL itself); `tied` says
    whether that cannot be told from zero. `rank` counts from 1, by that difference, among the predictors that need no
    old task; equals stand in the order of `PREDICTORS`.
    """

    fit: Fit
    difference: Interval | None
    tied: bool | None
    rank: int | None


@dataclass(frozen=True)
class Rival:
    """One predictor: its standing by kind of curve, or why it has none."""

    predictor: str
    place: Place
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
    """The table of all predictors, in the order of `PREDICTORS`.

    A rival is fitted on the checkpoints where both it and forward KL are known.

    Raises:
        DataError: too few checkpoints or runs, or forward KL is the same everywhere.
    """
    check_enough(take(points, FORWARD_KL), max(kind_of(kind).fewest for kind in kinds))
    draw = _Draw(level, resamples, seed)
    mask_P = usable(points, FORWARD_KL)
    known = {kind: draw.fit(take(points, FORWARD_KL, mask_P), kind) for kind in kinds}
    rivals = [_rival(points, predictor, kinds, draw, known) for predictor in PREDICTORS]
    return _ranked(rivals, kinds)


def verdict(rivals: Sequence[Rival], kind: str = "quadratic") -> Verdict | None:
    """Whether forward KL is first, tied for first or behind among the predictors that need no old task.

    `None` where one with a larger R² has no interval.
    """
    standings = {r.predictor: r.standings[kind] for r in rivals if kind in r.standings and r.place != "old task"}
    own = standings[FORWARD_KL].rank
    if own is None or own == 1:
        return None if own is None else "first"
    ahead = [s.tied for s in standings.values() if s.rank is not None and s.rank < own]
    if None in ahead:
        return None
    return "tied" if all(ahead) else "behind"


@dataclass(frozen=True)
class _Draw:
    """The settings of all resampling, the same for every predictor, so that the drawn runs are."""

    level: float
    resamples: int
    seed: int

    def fit(self, sample: Sample, kind: str) -> Drawn:
        """One predictor under one kind of curve, the monotone one turned the way that the predictor goes."""
        if kind == "monotone" and sample.predictor in LARGE_WHERE_LITTLE_CHANGED:
            kind = FALLING
        return fit_sample(sample, kind, level=self.level, resamples=self.resamples, seed=self.seed)


def _rival(points: Points, predictor: str, kinds: Sequence[str], draw: _Draw, known: Mapping[str, Drawn]) -> Rival:
    place = PREDICTORS[predictor]
    if predictor == FORWARD_KL:
        return Rival(predictor, place, {k: Standing(fit, None, None, None) for k, (fit, _) in known.items()}, None)
    kl_P = usable(points, FORWARD_KL)
    mask_P = usable(points, predictor) & kl_P
    sample, kl = take(points, predictor, mask_P), take(points, FORWARD_KL, mask_P)
    able = [k for k in kinds if sample.runs >= MIN_RUNS and can_fit(k, sample.x_P) and can_fit(k, kl.x_P)]
    if not able:
        reason = "the same everywhere, or too few values" if mask_P.any() else "not measured"
        return Rival(predictor, place, {}, reason)
    whole = bool((mask_P == kl_P).all())
    found = {k: _standing(draw.fit(sample, k), known[k] if whole else draw.fit(kl, k), draw.level) for k in able}
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
    """How far a predictor without the old task is ahead of forward KL on its own checkpoints; `None`: not ranked."""
    standing = rival.standings.get(kind)
    if standing is None or standing.fit.r2.value is None or rival.place == "old task":
        return None
    if rival.predictor == FORWARD_KL:
        return 0.0
    return None if standing.difference is None else standing.difference.value
