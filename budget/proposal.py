"""A cap proposed before a run: from the KL that a few steps of the first task took, and from a forgetting law.

Steps and KL beyond those measured follow a power law through the last readings, KL = c · step^p: p is 1 where each step
moves the policy in a direction of its own, 2 where all move it in one, less where it settles. It is read up to `MOST`
times the steps that were made and no further. Its range is that of the exponents between each two of the last
readings, and of 1 and 2: a few early readings alone look surer than they are (measured: by a factor of 2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from perdure.budget.estimate import Estimate
from perdure.budget.figures import figure
from perdure.budget.law.saved import Law, Prediction, from_base

MOST = 4
"""How many times the steps that were made are extrapolated to."""
LIKELY = (1.0, 2.0)
"""Exponents that the range of an extrapolation holds in any case."""
LAST = 3
"""The last readings, from which is extrapolated."""
Z = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True)
class Point:
    """A reading on the way: KL from the base in nats, and the gain in mean reward, both with standard errors."""

    step: int
    kl: Estimate
    gain: Estimate


@dataclass(frozen=True)
class Expected:
    """An expected figure with its ends; `high` is `None` where it is not bounded. `extrapolated`: beyond the steps."""

    value: float
    low: float
    high: float | None
    extrapolated: bool


@dataclass(frozen=True)
class Cap:
    """A cap on the run's KL, and what it is expected to allow and to cost; `None`: nothing can be said.

    Attributes:
        kl: the cap of the run, in nats.
        stage_kl: the cap of the first stage, by the allocation.
        steps: of the first task until its KL is there.
        gain: in mean reward of the first task, where that KL was measured.
        forgetting: by the law at the cap of the run.
    """

    kl: float
    stage_kl: float
    steps: Expected | None
    gain: Estimate | None
    forgetting: Prediction | None


@dataclass(frozen=True)
class Proposal:
    """A cap in nats, and why; or why there is none. `warnings` say what speaks against it."""

    kl: float | None
    reason: str
    warnings: tuple[str, ...] = ()


def cap_of(points: Sequence[Point], kl: float, share: float, law: Law | None) -> Cap:
    """What a cap on the run's KL is expected to allow and to cost; `share` of it is the first stage's."""
    stage_kl = kl * share
    forgetting = None if law is None else law.predict(kl)
    return Cap(kl, stage_kl, steps_to(points, stage_kl), gain_at(points, stage_kl), forgetting)


def steps_to(points: Sequence[Point], kl: float) -> Expected | None:
    """The steps until the KL is first reached, between readings linearly; `None`: not within `MOST` times the steps.

    Where it was measured, the ends are those of the curves 1.96 standard errors above and below it.
    """
    found = _crossing([(one.step, one.kl.value) for one in points], kl)
    if found is not None:
        errors = [Z * (one.kl.stderr or 0.0) for one in points]
        above, below = (
            _crossing([(one.step, one.kl.value + sign * error) for one, error in zip(points, errors, strict=True)], kl)
            for sign in (1, -1)
        )
        return Expected(found, found if above is None else above, below, extrapolated=False)
    last = points[-1]
    grown = [last.step * (kl / last.kl.value) ** (1 / p) if p > 0 else math.inf for p in _all(points)]
    return _within(grown, MOST * last.step)


def kl_after(points: Sequence[Point], step: int) -> Expected | None:
    """The KL after so many steps; `None` beyond `MOST` times those that were made."""
    last = points[-1]
    if step <= last.step:
        steps = [0, *(one.step for one in points)]
        values = [0.0, *(one.kl.value for one in points)]
        index = next(number for number, one in enumerate(steps) if one >= step)
        value = values[index] if index == 0 else _between(step, steps, values, index=index)
        error = Z * max(one.kl.stderr or 0.0 for one in points)
        return Expected(value, max(0.0, value - error), value + error, extrapolated=False)
    if step > MOST * last.step:
        return None
    return _within([last.kl.value * (step / last.step) ** p for p in _all(points)], math.inf)


def gain_at(points: Sequence[Point], kl: float) -> Estimate | None:
    """The gain at a KL that was reached, between readings linearly, with the greater of their errors."""
    before = Point(0, Estimate(0.0, None, 0), Estimate(0.0, None, 0))
    for first, second in pairwise([before, *points]):
        if first.kl.value < kl <= second.kl.value:
            share = (kl - first.kl.value) / (second.kl.value - first.kl.value)
            value = first.gain.value + share * (second.gain.value - first.gain.value)
            errors = [one.gain.stderr for one in (first, second) if one.gain.stderr is not None]
            return Estimate(value, max(errors, default=None), second.gain.n)
    return None


def exponents(points: Sequence[Point]) -> list[float]:
    """The exponents of a power law between each two of the last readings; the first is that of the widest pair."""
    if not points[-1].kl.value > 0:
        return []
    known = [one for one in points[-LAST:] if one.kl.value > 0]
    pairs = sorted(combinations(known, 2), key=lambda pair: pair[0].step / pair[1].step)
    return [math.log(b.kl.value / a.kl.value) / math.log(b.step / a.step) for a, b in pairs]


def _all(points: Sequence[Point]) -> list[float]:
    """The exponents that an extrapolation goes by, the likeliest first; none where nothing grew."""
    found = exponents(points)
    return [*found, *LIKELY] if found else []


def most_kl(law: Law, forgetting: float) -> float:
    """The greatest KL up to which a law expects no more than this forgetting; the end of its range at most."""
    kls, drops = from_base(law.kl, law.forgetting)
    for index in range(1, len(kls)):
        if drops[index] > forgetting:
            if drops[index - 1] > forgetting:
                return 0.0
            share = (forgetting - drops[index - 1]) / (drops[index] - drops[index - 1])
            return kls[index - 1] + share * (kls[index] - kls[index - 1])
    return law.kl_max


def propose(
    points: Sequence[Point], *, stage_steps: int, share: float, law: Law | None, most: float, need: float
) -> Proposal:
    """With a law, the greatest cap at which it expects at most `most` forgetting; else what the first stage will take.

    Args:
        stage_steps: of the first stage, if nothing ends it.
        share: the first stage's part of the run's cap.
        most: forgetting as a fraction.
        need: the least KL at which every target can be reached; 0 where none has a target.
    """
    if law is not None:
        return _by_law(points, stage_steps, share, law, most, need)
    end = kl_after(points, stage_steps)
    if end is None:
        return Proposal(
            None,
            f"the first stage has {stage_steps} steps, more than {MOST} times the {points[-1].step} made here, and "
            f"no law says what a KL costs; give --steps {math.ceil(stage_steps / MOST)}, or a law (budget.law)",
        )
    own = (end.value if end.high is None else end.high) / share
    targets = f", and the {figure(need)} that a target needs" if need > own else ""
    return Proposal(
        rounded(max(own, need), up=True),
        f"what the first stage is expected to take in its {stage_steps} steps, {_range(end)} nats{targets}; it stops "
        "what runs away, and no law says what it costs",
        _without_gain(points),
    )


def _by_law(points: Sequence[Point], stage_steps: int, share: float, law: Law, most: float, need: float) -> Proposal:
    kl, shown = rounded(most_kl(law, most), up=False), f"{100 * most:g} points of forgetting"
    if kl == 0:
        return Proposal(None, f"the law expects more than {shown} at any KL that it was fitted on")
    ends = ", where its range ends" if kl >= rounded(law.kl_max, up=False) else ""
    warnings = list(_without_gain(points))
    if need > kl:
        drop = 100 * law.predict(need).value
        warnings.append(f"a target needs at least {figure(need)} nats, where the law expects {drop:.1f} points")
    steps = steps_to(points, kl * share)
    if steps is not None and steps.value < stage_steps:
        warnings.append(f"it would end the first stage after about {steps.value:.0f} of its {stage_steps} steps")
    return Proposal(kl, f"the greatest at which the law expects at most {shown}{ends}", tuple(warnings))


def _without_gain(points: Sequence[Point]) -> tuple[str, ...]:
    gain = points[-1].gain
    if gain.stderr is not None and gain.value > Z * gain.stderr:
        return ()
    return (f"the task had gained nothing beyond noise in {points[-1].step} steps: try more steps (--steps)",)


def _range(one: Expected) -> str:
    high = "or more" if one.high is None else f"to {figure(one.high)}"
    return f"{figure(one.value)} ({figure(one.low)} {high})"


def rounded(value: float, *, up: bool) -> float:
    """Two significant digits, upwards or downwards."""
    if value <= 0:
        return 0.0
    digits = 1 - math.floor(math.log10(value))
    scaled = value * 10.0**digits
    whole = math.ceil(scaled - 1e-9) if up else math.floor(scaled + 1e-9)
    return float(f"{whole / 10.0**digits:.12g}")


def _crossing(curve: Sequence[tuple[int, float]], kl: float) -> float | None:
    """The first step at which a curve from (0, 0) is at `kl`."""
    for first, second in pairwise([(0, 0.0), *curve]):
        if second[1] >= kl > first[1]:
            return first[0] + (kl - first[1]) / (second[1] - first[1]) * (second[0] - first[0])
    return None


def _between(x: float, xs: Sequence[float], ys: Sequence[float], *, index: int) -> float:
    share = (x - xs[index - 1]) / (xs[index] - xs[index - 1])
    return ys[index - 1] + share * (ys[index] - ys[index - 1])


def _within(values: Sequence[float], most: float) -> Expected | None:
    """The first, with the range of all; `None` if there is none, or it is beyond `most`."""
    if not values or not values[0] <= most:
        return None
    high = max(values)
    return Expected(values[0], min(values), high if high <= most else None, extrapolated=True)
