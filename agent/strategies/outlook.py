"""From a few steps of a method to what the whole stage would come to: pure arithmetic, no model.

A trial is a small part of a stage, so that everything here is an extrapolation by a simple shape, chosen for what is
known of how such figures grow and kept because it ordered the methods well where it was tried (docs/strategies.md):

- the gain closes the same share of the gap to a mean reward of 1 every step, so that it can only slow down;
- the KL grows as a power of the steps that the trial itself showed, 1 to 2: near where it stands a policy that walks
  straight goes a KL that is quadratic in the way (the Fisher information), one that wanders a KL that is linear. Once
  it is `KNEE` nats further it goes on in a straight line, since a quadratic holds near its base only;
- a cap ends the stage where the KL reaches it, and the gain with it, unless a penalty is there to hold it;
- forgetting of what the base could do follows the KL by the curriculum's law, else by `FORGETTING_A_NAT`;
- of the earlier tasks of the stream the trial itself measured what is lost. It grows with the square root of the steps,
  and to no more than what was learned of them: the first steps of a new task disturb the most.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perdure.agent.strategies.contract import Trial

KNEE = 0.3
"""Nats beyond the start of the stage up to which the KL follows its power of the steps."""

FORGETTING_A_NAT = 0.05
"""Expected forgetting where there is no law: five points a nat, about the slope of the figures of RL's Razor (arXiv
2509.04259) for its small classifier, 68.5 % at the base and 26 % at ten nats. It stands for a law; it is none."""


@dataclass(frozen=True)
class Outlook:
    """What a trial lets expect of the whole stage.

    Attributes:
        steps: those after which the cap ends it, or all, counted at the full learning rate.
        gain: in mean reward, from the start of the stage.
        stderr: of the value, by the trial's own; 0 where that is not known.
        kl: at the end, in the budget's unit.
        forgetting: of what the base could do, from the start of the stage, as a fraction.
        value: `gain` less the weighted sum of `forgetting` and `lost`.
        lost: the sum over the earlier tasks of what their mean rewards fall by: a point of one of them is worth
            as much as a point of the stage's own.
    """

    steps: float
    gain: float
    stderr: float
    kl: float
    forgetting: float
    value: float
    lost: float = 0.0


@dataclass(frozen=True)
class Earlier:
    """The earlier tasks: how many there are, and what was learned of them, in mean reward on training items."""

    tasks: int = 0
    learned: float = 0.0


def outlook(
    trial: Trial,
    steps: float,
    *,
    cap: float,
    forgetting: Callable[[float], float],
    weight: float,
    earlier: Earlier = Earlier(),
    levels_off: bool = False,
) -> Outlook:
    """What a method would come to in `steps` steps, of which the trial made the first few.

    `cap` is in the trial's unit, infinite where nothing holds it. `forgetting` tells what a KL from the base comes to.
    Where a penalty steers it, the KL `levels_off` at the cap and learning goes on.
    """
    end = steps if levels_off else steps_within(trial, steps, cap)
    kl = min(kl_at(trial, end), max(cap, trial.kl_before))
    gain, lost = gain_at(trial, end), earlier.tasks * lost_at(trial, end, earlier.learned)
    forgotten = forgetting(kl) - forgetting(trial.kl_before)
    stderr = math.hypot(gain_stderr(trial, end), weight * earlier.tasks * lost_stderr(trial, end))
    return Outlook(end, gain, stderr, kl, forgotten, gain - weight * (forgotten + lost), lost)


def gain_at(trial: Trial, steps: float) -> float:
    """The gain in mean reward after `steps` steps: `gap (1 - (1 - g / gap)^(steps / trial.steps))`.

    The gap is what is missing to 1 and g the gain of the trial, made smaller by its noise (`shrunk`). A loss, and a
    gain where rewards are 1 or more, are taken as they are: nothing is known of where they would end.
    """
    return _closing(1 - trial.before, shrunk(trial.after - trial.before, trial.stderr), steps / trial.steps)


def gain_stderr(trial: Trial, steps: float) -> float:
    """The standard error of `gain_at`: half the way between a trial that came out by one higher and one lower."""
    if trial.stderr is None:
        return 0.0
    gap, seen, times = 1 - trial.before, trial.after - trial.before, steps / trial.steps
    return (_closing(gap, seen + trial.stderr, times) - _closing(gap, seen - trial.stderr, times)) / 2


def lost_at(trial: Trial, steps: float, learned: float) -> float:
    """What the mean reward on an earlier task falls by: `lost √(steps / trial.steps)`, and at most what was `learned`.

    `lost` is that of the trial, made smaller by its noise (`shrunk`); where it is no loss it is taken as it is.
    """
    seen = shrunk(trial.lost or 0.0, trial.lost_stderr)
    return seen if seen <= 0 else max(seen, min(learned, seen * math.sqrt(steps / trial.steps)))


def lost_stderr(trial: Trial, steps: float) -> float:
    """The standard error of `lost_at`."""
    return (trial.lost_stderr or 0.0) * math.sqrt(steps / trial.steps)


def shrunk(gain: float, stderr: float | None) -> float:
    """`gain / (1 + (stderr / gain)²)`: a gain within its noise says little, and would be multiplied."""
    if not stderr or not gain:
        return gain
    noise = stderr / gain
    return gain / (1 + noise * noise)


def _closing(gap: float, seen: float, times: float) -> float:
    """What comes of a change that was `seen` in a trial, in a stage that is so many `times` as long."""
    if seen <= 0 or gap <= seen:
        return seen
    return gap * (1 - math.pow(1 - seen / gap, times))


def growth(trial: Trial) -> float:
    """The power of the steps with which the KL grew from the middle of the trial to its end, held to 1 … 2.

    1 where there is no middle, and where the KL did not rise before it or after.
    """
    half = trial.steps // 2
    if trial.kl_midway is None or not half or half == trial.steps:
        return 1.0
    middle, whole = trial.kl_midway - trial.kl_before, trial.kl - trial.kl_before
    if middle <= 0 or whole <= 0:
        return 1.0
    return min(2.0, max(1.0, math.log(whole / middle) / math.log(trial.steps / half)))


def kl_at(trial: Trial, steps: float) -> float:
    """The KL after `steps` steps. Where it fell in the trial it is expected to stay where it ended."""
    rise = trial.kl - trial.kl_before
    if rise <= 0:
        return trial.kl
    power = growth(trial)
    knee = max(KNEE, rise)
    at_knee = trial.steps * math.pow(knee / rise, 1 / power)
    if steps <= at_knee:
        return trial.kl_before + rise * math.pow(steps / trial.steps, power)
    return trial.kl_before + knee + power * knee / at_knee * (steps - at_knee)


def steps_within(trial: Trial, steps: float, cap: float) -> float:
    """The most of `steps` steps after which the KL is within the cap; all of them where it does not rise."""
    if trial.kl <= trial.kl_before or kl_at(trial, steps) <= cap:
        return steps
    low, high = 0.0, steps
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kl_at(trial, middle) <= cap else (low, middle)
    return low


def best(outlooks: Sequence[Outlook]) -> int:
    """The index of the one to choose: the highest value, and of equal ones the one with the least KL.

    Values that cannot be told apart (`within_noise`) are no reason to choose another: the forgetting that a KL brings
    is in the value, and to count it once more is to choose whatever learns least (docs/strategies.md has the cost).
    """
    return max(range(len(outlooks)), key=lambda index: (outlooks[index].value, -outlooks[index].kl))


def within_noise(outlooks: Sequence[Outlook]) -> list[int]:
    """The indices of the highest value and of those that cannot be told from it.

    They are below it by less than the standard error of the difference.
    """
    top = max(range(len(outlooks)), key=lambda index: outlooks[index].value)
    return [
        index
        for index, one in enumerate(outlooks)
        if index == top or outlooks[top].value - one.value < math.hypot(one.stderr, outlooks[top].stderr)
    ]


def share_of_full_rate(schedule: str, warmup: float) -> float:
    """The mean learning rate of a stage over its highest, by the name of its schedule.

    `warmup` is the share of the steps in which it rises. A line and a half cosine both fall to 0 and so come to a half
    on the average, and so, for want of better, does every other.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "constant_with_warmup":
        return 1 - warmup / 2
    return 0.5
