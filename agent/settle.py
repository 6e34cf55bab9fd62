"""What becomes of a stage that ends above its cap, or broken: recovered, projected, taken back, or left as it is.

Every remedy is deterministic and writes nothing that a second run of it would not write again, so that a stage that is
killed here ends with the same weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perdure.agent.guard import Guard, describe, fault
from perdure.agent.methods.contract import Outcome, Progress
from perdure.budget.errors import ModelError
from perdure.budget.monitor import Reading

PRECISION = 0.01
"""The projection is done when the KL is below the cap by no more than this share of it."""

MOST_READINGS = 12
"""Of the KL along the line."""

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
    """Go back along the straight line in weight space to the last point within the cap, by bisection on the KL.

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

    share, found, readings = bisect(read_at, start)
    if share:
        guard.world.interpolate(within, beyond, share)
    else:
        guard.world.restore_snapshot(within)
    figures = {"start": name, "share": share, "readings": readings, "kl": found.kl.value}
    ends = {"kl_within": start.kl.value, "kl_beyond": ended.kl.value}
    target = f"{share:.1%} of the way from {name} to where it ended"
    guard.tell("project", describe(ended), target, ended.step, **figures, **ends)
    return found


def bisect(read_at: Callable[[float], Reading], start: Reading) -> tuple[float, Reading, int]:
    """The last share of a line that is found within the cap, its reading, and the number of readings that it took.

    `start` is the reading at 0, within the cap; at 1 it is not. A point without a finite KL is not within.
    """
    low, high, best = 0.0, 1.0, start
    for readings in range(MOST_READINGS):
        if best.bound >= (1 - PRECISION) * best.cap:
            return low, best, readings
        share = (low + high) / 2
        reading = read_at(share)
        if reading.within:
            low, best = share, reading
        else:
            high = share
    return low, best, MOST_READINGS


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
    target = f"{steps} steps of distillation from the base" + (", undone since the KL did not fall" if undone else "")
    guard.tell("recover", describe(ended), target, ended.step, **told)
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
