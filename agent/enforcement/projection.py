"""Projection: back along the straight line in weight space to the last point within the cap."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perdure.agent.enforcement.rollback import last_accepted
from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.run.events import End
from perdure.agent.weights import blend, restore_weights, write_weights
from perdure.budget import ranks
from perdure.budget.monitor import Reading

PRECISION = 0.01
"""The search is done when the KL is below the cap by no more than this share of it."""

MOST_READINGS = 12
"""Readings of the KL along the line, at most."""

POWERS = (0.5, 4.0)
"""The bounds of the power of the share by which the KL is assumed to rise, estimated from two points beyond the cap."""

LINE: dict[End, str] = {
    "within": "line-within.safetensors",
    "beyond": "line-beyond.safetensors",
}
"""The two ends of the line, in the folder of the stage: the last state within the cap, and where the stage ended."""


def project(monitor: StageMonitor, ended: Reading) -> Reading:
    """Go back along the straight line in weight space to the last point within the cap, by a search on the KL.

    The line runs from the last state within the cap to where the stage ended. The KL need not rise evenly along it:
    what is found is a point within the cap, before one above it; where the KL crosses the cap more than once there may
    be others, farther out. The first end is within the cap, so that this cannot fail.
    """
    monitor.logger.phase("projecting", stage=monitor.stage)
    within, beyond = (monitor.folder / file for file in LINE.values())
    weights = monitor.world.trained
    ranks.told(lambda: write_weights(weights, beyond))
    name, start = last_accepted(monitor)
    ranks.told(lambda: write_weights(weights, within))

    def read_at(share: float) -> Reading:
        blend(weights, within, beyond, share)
        return monitor.measure(ended.step)

    share, found, readings = last_within(read_at, start, ended)
    if share:
        blend(weights, within, beyond, share)
    else:
        restore_weights(weights, within)
    figures = {"start": name, "share": share, "readings": readings, "kl": found.kl.value}
    ends = {"kl_within": start.kl.value, "kl_beyond": ended.kl.value}
    target = f"{share:.1%} of the way from {name} to where it ended"
    monitor.intervene("project", monitor.describe(ended), target, ended.step, **figures, **ends)
    return found


@dataclass(frozen=True)
class LinePoint:
    """A point of the line: the share of the way, and the KL there less that of the start, in nats."""

    share: float
    rise: float


def last_within(read_at: Callable[[float], Reading], start: Reading, ended: Reading) -> tuple[float, Reading, int]:
    """The last share of a line that is found within the cap, its reading, and the number of readings that it took.

    `start` is the reading at 0, within the cap, and `ended` that at 1, which is not. The search keeps a bracket, a
    point within and one beyond, and what it returns is the point within: that holds for any KL, noisy or not monotone,
    and a point without a finite KL counts as beyond.

    Departure from plain bisection: halving takes a reading for every factor of two between the end of the line and the
    cap, so that twelve do not suffice where an update went a thousand caps too far. The next point is instead where
    the cap is crossed if the KL rises from the start's as a power of the share (`crossing`): as its square from the
    base, more nearly as the share itself from farther out. Where that is not known, or has moved the same end of the
    bracket twice in a row, the bracket is halved at least, in the logarithm of the share once its inner end is not the
    start. A KL that keeps to no power may still be left farther below the cap than `PRECISION`.
    """
    goal = (1 - PRECISION / 2) * start.cap - start.upper_bound
    low, high, outer = LinePoint(0.0, 0.0), LinePoint(1.0, ended.upper_bound - start.upper_bound), None
    best, run = start, 0
    for readings in range(MOST_READINGS):
        if best.upper_bound >= (1 - PRECISION) * best.cap:
            return low.share, best, readings
        share, middle = crossing(low, high, outer, goal), halfway(low, high)
        if share is None or (abs(run) >= 2 and (low.share or share > middle)):
            share = middle
        if not low.share < share < high.share:  # no number lies between the ends
            return low.share, best, readings
        reading = read_at(share)
        point = LinePoint(share, reading.upper_bound - start.upper_bound)
        if reading.within:
            low, best, run = point, reading, min(run, 0) - 1
        else:
            high, outer, run = point, high, max(run, 0) + 1
    return low.share, best, MOST_READINGS


def crossing(low: LinePoint, high: LinePoint, outer: LinePoint | None, goal: float) -> float | None:
    """The share at which the KL has risen by `goal`, if it rises as a power of the share; within the bracket.

    The power is that between the two ends of the bracket (regula falsi in logarithms); while the inner end is the
    start, that between the outer end and the one before it, `outer`, held to `POWERS`; at first, 2, with which the
    share is the square root of the goal over the rise. `None` where there is no such share.
    """
    other = low if low.share else outer
    if not _has_logarithms(high) or (other is not None and not _has_logarithms(other)):
        return None
    power = 2.0 if other is None else _power(high, other)
    if not low.share:
        power = min(max(power, POWERS[0]), POWERS[1])
    if not power > 0:
        return None
    share = high.share * math.exp((math.log(goal) - math.log(high.rise)) / power)
    return share if low.share < share < high.share else None


def halfway(low: LinePoint, high: LinePoint) -> float:
    """The middle of the bracket, of the logarithms of its ends where both have one."""
    return math.sqrt(low.share) * math.sqrt(high.share) if low.share else high.share / 2


def _power(one: LinePoint, other: LinePoint) -> float:
    """The slope between two points in logarithms; 0 where their shares are too close."""
    wide = math.log(one.share) - math.log(other.share)
    return (math.log(one.rise) - math.log(other.rise)) / wide if wide else 0.0


def _has_logarithms(point: LinePoint) -> bool:
    return point.share > 0 and 0 < point.rise < math.inf


def line_of(folder: Path) -> dict[End, Path]:
    """The snapshots of the ends of the line on which the stage in this folder was projected; none: it was not."""
    found = {end: folder / file for end, file in LINE.items()}
    return found if all(path.exists() for path in found.values()) else {}
