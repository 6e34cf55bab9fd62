"""What becomes of a stage that ends above its cap, or broken: recovered, projected, taken back, or left as it is.

Every remedy is deterministic and writes nothing that a second run of it would not write again, so that a stage that is
killed here ends with the same weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perdure.agent.enforcement.stage_monitor import Guard, describe, fault
from perdure.agent.worlds.contract import Outcome, Progress
from perdure.budget.errors import ModelError
from perdure.budget.monitor import Reading

PRECISION = 0.01
"""The search is done when the KL is below the cap by no more than this share of it."""

MOST_READINGS = 12
"""Of the KL along the line."""

POWERS = (0.5, 4.0)
"""Between these is the power of the share by which the KL is taken to rise, where two points beyond the cap tell it."""

RECOVERY_RATE = 1e-4
"""The learning rate of the recovery, where neither it nor the stage names one."""

LINE = {"within": "line-within.safetensors", "beyond": "line-beyond.safetensors"}
"""The two ends of the line, in the folder of the stage: the last state within the cap, and where the stage ended."""


@dataclass(frozen=True)
class Recovery:
    """With what the recovery is done."""

    learning_rate: float | None
    seed: int


def settle(guard: Guard, outcome: Outcome, recovery: Recovery) -> Reading:
    """Bring the stage to the state that it ends with, by the remedies that the budget names; the reading of that state.

    Raises:
        ModelError: not even the base is within the budget.
    """
    step = outcome.steps
    reading = guard.measure(step)
    remedies = ("broken",) if guard.fault else guard.monitor.remedies(reading)
    if remedies and remedies != ("stop",):
        guard.write(reading)
    for remedy in remedies:
        if remedy == "recover":
            reading = recover(guard, reading, recovery)
        elif remedy == "project":
            reading = project(guard, reading)
        elif remedy in ("rollback", "broken"):
            reading = go_back(guard, remedy, guard.fault or describe(reading), step)
        elif outcome.ended == "stopped" and step:
            guard.tell("stop", describe(reading), f"step {step}", step)
        if reading.within:
            break
    return guard.write(reading, final=True)


def go_back(guard: Guard, action: str, why: str, step: int) -> Reading:
    """To the first state that the budget accepts; those that it does not are passed over and not journaled."""
    name, reading = last_accepted(guard)
    guard.tell(action, why, name, step)
    return reading


def last_accepted(guard: Guard) -> tuple[str, Reading]:
    """Make the policy the latest state that the budget accepts: its name, and its reading.

    Raises:
        ModelError: there is none.
    """
    for name, step, restore in guard.states():
        restore()
        reading = guard.measure(step)
        if guard.monitor.accepts(reading):
            return name, reading
    raise ModelError(
        f"even the base is not within the budget ({describe(reading)}): its own KL is zero only up to rounding. "
        "Use a larger budget.kl or model.dtype: float32"
    )


def project(guard: Guard, ended: Reading) -> Reading:
    """Go back along the straight line in weight space to the last point within the cap, by a search on the KL.

    The line runs from the last state within the cap to where the stage ended. The KL need not rise evenly along it:
    what is found is a point within the cap, before one above it; where the KL crosses the cap more than once there may
    be others, farther out. The first end is within the cap, so that this cannot fail.
    """
    guard.chronicle.enter("projecting", stage=guard.stage)
    within, beyond = (guard.folder / LINE[end] for end in ("within", "beyond"))
    guard.world.snapshot(beyond)
    name, start = last_accepted(guard)
    guard.world.snapshot(within)

    def read_at(share: float) -> Reading:
        guard.world.interpolate(within, beyond, share)
        return guard.measure(ended.step)

    share, found, readings = last_within(read_at, start, ended)
    if share:
        guard.world.interpolate(within, beyond, share)
    else:
        guard.world.restore_snapshot(within)
    figures = {"start": name, "share": share, "readings": readings, "kl": found.kl.value}
    ends = {"kl_within": start.kl.value, "kl_beyond": ended.kl.value}
    target = f"{share:.1%} of the way from {name} to where it ended"
    guard.tell("project", describe(ended), target, ended.step, **figures, **ends)
    return found


@dataclass(frozen=True)
class Point:
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
    base, more nearly as the share itself from farther out. Where that cannot be told, or has moved the same end of the
    bracket twice in a row, the bracket is halved at least, in the logarithm of the share once its inner end is not the
    start. A KL that keeps to no power may still be left farther below the cap than `PRECISION`.
    """
    goal = (1 - PRECISION / 2) * start.cap - start.bound
    low, high, outer = Point(0.0, 0.0), Point(1.0, ended.bound - start.bound), None
    best, run = start, 0
    for readings in range(MOST_READINGS):
        if best.bound >= (1 - PRECISION) * best.cap:
            return low.share, best, readings
        share, middle = crossing(low, high, outer, goal), halfway(low, high)
        if share is None or (abs(run) >= 2 and (low.share or share > middle)):
            share = middle
        reading = read_at(share)
        point = Point(share, reading.bound - start.bound)
        if reading.within:
            low, best, run = point, reading, min(run, 0) - 1
        else:
            high, outer, run = point, high, max(run, 0) + 1
    return low.share, best, MOST_READINGS


def crossing(low: Point, high: Point, outer: Point | None, goal: float) -> float | None:
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


def halfway(low: Point, high: Point) -> float:
    """The middle of the bracket, of the logarithms of its ends where both have one."""
    return math.sqrt(low.share) * math.sqrt(high.share) if low.share else high.share / 2


def _power(one: Point, other: Point) -> float:
    """The slope between two points in logarithms; 0 where their shares are too near one another to tell."""
    wide = math.log(one.share) - math.log(other.share)
    return (math.log(one.rise) - math.log(other.rise)) / wide if wide else 0.0


def _has_logarithms(point: Point) -> bool:
    return point.share > 0 and 0 < point.rise < math.inf


def recover(guard: Guard, ended: Reading, recovery: Recovery) -> Reading:
    """Distil from the base until the KL is within the cap, or the steps are used up.

    One that ends farther away than it began, or broken, is undone: a learning rate that took the policy far away may
    be too high to bring it back.
    """
    config = guard.monitor.config.recover
    rate = config.learning_rate or recovery.learning_rate or RECOVERY_RATE
    guard.chronicle.enter("recovering", stage=guard.stage)
    before = guard.folder / "before-recovery.safetensors"
    guard.world.snapshot(before)
    steps = guard.world.recover(config, rate, seed=recovery.seed, watch=_watch(guard, ended.step, config.every))
    reading = guard.measure(ended.step)
    told = {"steps": steps, "kl_before": ended.kl.value, "kl_after": reading.kl.value}
    undone = not reading.bound < ended.bound
    judged = {"within": reading.within, "undone": undone}
    target = f"{steps} steps of distillation from the base" + (", undone since the KL did not fall" if undone else "")
    guard.tell("recover", describe(ended), target, ended.step, **told, **judged)
    if undone:
        guard.world.restore_snapshot(before)
    return ended if undone else reading


def _watch(guard: Guard, step: int, every: int) -> Callable[[Progress], bool]:
    def watch(progress: Progress) -> bool:
        guard.chronicle.step(progress.step, progress.max_steps, progress.loss, progress.reward)
        if fault(progress) is not None:
            return True
        return progress.step % every == 0 and guard.measure(step).within

    return watch


def line_of(folder: Path) -> dict[str, Path]:
    """The snapshots of the ends of the line on which the stage in this folder was projected; none: it was not."""
    found = {end: folder / file for end, file in LINE.items()}
    return found if all(path.exists() for path in found.values()) else {}


def sweep_up(folder: Path) -> None:
    """Remove what an update and its settlement leave behind, but for the policy."""
    for leftover in [*folder.glob("*.safetensors*"), *folder.glob("good.json*")]:
        leftover.unlink()
