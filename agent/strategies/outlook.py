"""Extrapolates a trial of a few steps to the whole stage: pure arithmetic, no model.

The shapes are simple, and were kept because they ranked the methods well (docs/experiments/streams-vision.md):

- the gain closes the same share of the gap to a mean reward of 1 in every step;
- a method that imitates gains at least what the growing likelihood of the writer's answers is worth (`imitated_at`):
  the reward of imitation falls before it rises, the likelihood rises from the first step;
- the KL grows as a power of the steps, 1 to 2, estimated from the trial: a policy that moves straight has a KL that is
  quadratic in the distance (Fisher information), one that wanders a linear one. Beyond `KNEE` nats the KL continues
  linearly, as a quadratic holds only locally;
- a cap ends the stage, and the gain, when the KL reaches it, unless a penalty holds the KL there;
- forgetting of the base's skills follows the KL by the curriculum's law, else by `FORGETTING_PER_NAT`;
- the loss on earlier tasks is measured by the trial. It grows with the square root of the steps, as the first steps of
  a new task disturb most, up to the amount that was learned.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perdure.agent.strategies.contract import TrialResult

KNEE = 0.3
"""The KL follows its power of the steps up to this many nats beyond the start of the stage."""

FORGETTING_PER_NAT = 0.05
"""Substitute for a law: five points per nat, about the slope in RL's Razor (arXiv 2509.04259) for its small classifier,
68.5 % at the base and 26 % at ten nats."""

KL_SPREAD = 0.9
"""The relative error of the rise of the KL from the trial to the end of the stage: that of 68 % of 112 logged ones
(docs/experiments/race.md)."""

SPREAD = 0.25
"""The relative error of the rise of `imitated_at` from the trial to the end of the stage."""


@dataclass(frozen=True)
class Outlook:
    """The expected result of the whole stage.

    Attributes:
        steps: those until the cap ends the stage, or all, counted at the full learning rate.
        gain: in mean reward, from the start of the stage.
        stderr: of the value, from that of the trial and that of the expected KL; `None` if unknown.
        kl: at the end, in the budget's unit.
        forgetting: of the base's skills, from the start of the stage, as a fraction.
        value: `gain` less the weighted sum of `forgetting` and `lost`.
        lost: the drops of the mean rewards of the earlier tasks, summed.
    """

    steps: float
    gain: float
    stderr: float | None
    kl: float
    forgetting: float
    value: float
    lost: float = 0.0


@dataclass(frozen=True)
class EarlierTasks:
    """The number of earlier tasks, and their mean gain by learning, in mean reward on training items."""

    tasks: int = 0
    learned: float = 0.0


def outlook(
    trial: TrialResult,
    steps: float,
    *,
    cap: float,
    forgetting: Callable[[float], float],
    weight: float,
    earlier: EarlierTasks = EarlierTasks(),
    levels_off: bool = False,
) -> Outlook:
    """Extrapolate a trial to `steps` steps.

    `cap` is in the trial's unit, infinite if not enforced. `forgetting` maps a KL from the base to forgetting.
    `levels_off`: a penalty holds the KL at the cap while learning continues.
    """
    end = steps if levels_off else steps_within(trial, steps, cap)
    kl = min(kl_at(trial, end), max(cap, trial.kl_before))
    gain, lost = gain_at(trial, end), earlier.tasks * lost_at(trial, end, earlier.learned)
    forgotten = forgetting(kl) - forgetting(trial.kl_before)
    noise, lost_noise = gain_stderr(trial, end), lost_stderr(trial, end)
    doubt = KL_SPREAD * (forgetting(kl) - forgetting(trial.kl))
    stderr = None
    if noise is not None and lost_noise is not None:
        stderr = math.hypot(noise, weight * earlier.tasks * lost_noise, weight * doubt)
    return Outlook(end, gain, stderr, kl, forgotten, gain - weight * (forgotten + lost), lost)


def gain_at(trial: TrialResult, steps: float) -> float:
    """The gain in mean reward after `steps` steps: `gap (1 - (1 - g / gap)^(steps / trial.steps))`.

    The gap is 1 minus the reward before, and g the gain of the trial, shrunk by its noise (`shrunk`). A loss, or a gain
    that exceeds the gap, is not extrapolated. Of a method that imitates it is at least that of `imitated_at`.
    """
    sampled, imitated = _sampled_gain(trial, steps), imitated_at(trial, steps)
    return sampled if imitated is None else max(sampled, imitated - trial.before)


def gain_stderr(trial: TrialResult, steps: float) -> float | None:
    """The standard error of `gain_at`: half the difference between gains one standard error higher and lower.

    Where the gain is that of `imitated_at`: that of the trial, and `SPREAD` of the rise since.
    """
    if trial.stderr is None:
        return None
    now, imitated = imitated_at(trial, trial.steps), imitated_at(trial, steps)
    if now is not None and imitated is not None and imitated - trial.before > _sampled_gain(trial, steps):
        return math.hypot(trial.stderr, SPREAD * (imitated - now))
    gap, seen, times = 1 - trial.before, trial.after - trial.before, steps / trial.steps
    return (_closing(gap, seen + trial.stderr, times) - _closing(gap, seen - trial.stderr, times)) / 2


def imitated_at(trial: TrialResult, steps: float) -> float | None:
    """The mean reward after `steps` steps of a policy that answers as the writer does with a probability p, else as
    before: `p written + (1 - p) rest`.

    p is `exp(-K)`, K being KL(writer ‖ policy), of which each step takes the same share as each of the trial's; one
    that rose stays. `rest` is the reward before of all answers but the writer's, by the same equation.
    `None`: the method does not imitate, or nobody wrote.
    """
    before, after, written = trial.writer_kl_before, trial.writer_kl, trial.written
    if before is None or after is None or written is None:
        return None
    kl = after if after >= before else before * math.pow(after / before, steps / trial.steps)
    start, end = math.exp(-before), math.exp(-kl)
    rest = (trial.before - start * written) / (1 - start) if start < 1 else 0.0
    return end * written + (1 - end) * min(1.0, max(0.0, rest))


def _sampled_gain(trial: TrialResult, steps: float) -> float:
    return _closing(1 - trial.before, shrunk(trial.after - trial.before, trial.stderr), steps / trial.steps)


def lost_at(trial: TrialResult, steps: float, learned: float) -> float:
    """The drop of the mean reward on an earlier task: `lost √(steps / trial.steps)`, at most what was `learned`.

    `lost` is that of the trial, shrunk by its noise (`shrunk`); a gain is not extrapolated.
    """
    seen = shrunk(trial.lost or 0.0, trial.lost_stderr)
    return seen if seen <= 0 else max(seen, min(learned, seen * math.sqrt(steps / trial.steps)))


def lost_stderr(trial: TrialResult, steps: float) -> float | None:
    """The standard error of `lost_at`; 0 without earlier tasks."""
    if trial.lost is None:
        return 0.0
    return None if trial.lost_stderr is None else trial.lost_stderr * math.sqrt(steps / trial.steps)


def shrunk(gain: float, stderr: float | None) -> float:
    """`gain / (1 + (stderr / gain)²)`: shrinks a gain within its noise, which extrapolation would multiply."""
    if not stderr or not gain:
        return gain
    noise = stderr / gain
    return gain / (1 + noise * noise)


def _closing(gap: float, seen: float, times: float) -> float:
    """Extrapolates a change `seen` in a trial to a stage `times` as long."""
    if seen <= 0 or gap <= seen:
        return seen
    return gap * (1 - math.pow(1 - seen / gap, times))


def growth(trial: TrialResult) -> float:
    """The power of the steps with which the KL grew after the middle of the trial, 1 … 2; 1 if unknown or falling."""
    half = trial.midway or trial.steps // 2
    if trial.kl_midway is None or not half or half == trial.steps:
        return 1.0
    middle, whole = trial.kl_midway - trial.kl_before, trial.kl - trial.kl_before
    if middle <= 0 or whole / middle <= 0:
        return 1.0
    return min(2.0, max(1.0, math.log(whole / middle) / math.log(trial.steps / half)))


def kl_at(trial: TrialResult, steps: float) -> float:
    """The KL after `steps` steps; that of the end of the trial if it did not rise."""
    rise = trial.kl - trial.kl_before
    if rise <= 0:
        return trial.kl
    power = growth(trial)
    knee = max(KNEE, rise)
    at_knee = trial.steps * math.pow(knee / rise, 1 / power)
    if steps <= at_knee:
        return trial.kl_before + rise * math.pow(steps / trial.steps, power)
    return trial.kl_before + knee + power * knee / at_knee * (steps - at_knee)


def steps_within(trial: TrialResult, steps: float, cap: float) -> float:
    """The most of `steps` steps after which the KL is within the cap; all of them if it does not rise."""
    if trial.kl <= trial.kl_before or kl_at(trial, steps) <= cap:
        return steps
    low, high = 0.0, steps
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kl_at(trial, middle) <= cap else (low, middle)
    return low


def best(outlooks: Sequence[Outlook]) -> int:
    """The index of the highest value; of equal ones, that with the least KL.

    Values within noise of it (`within_noise`) are not ranked by KL: the value already contains the forgetting that KL
    brings, and counting it twice would choose the method that learns least (docs/experiments/streams-vision.md).
    """
    return max(range(len(outlooks)), key=lambda index: (outlooks[index].value, -outlooks[index].kl))


def within_noise(outlooks: Sequence[Outlook]) -> list[int]:
    """The indices of the highest value and of those below it by less than the standard error of the difference.

    An unknown standard error counts 0.
    """
    top = max(range(len(outlooks)), key=lambda index: outlooks[index].value)
    return [
        index
        for index, one in enumerate(outlooks)
        if index == top or outlooks[top].value - one.value < math.hypot(one.stderr or 0.0, outlooks[top].stderr or 0.0)
    ]


def share_of_full_rate(schedule: str, warmup: float, upto: float = 1.0) -> float:
    """The sum of the learning rates of the first share `upto` of a stage, divided by its steps and its highest rate.

    By the name of its schedule; `warmup` is the share of the steps in which the rate rises. Schedules that are neither
    constant nor a half cosine are assumed to be a line down to 0.
    """
    if schedule == "constant":
        return upto
    if upto <= warmup:
        return upto * upto / (2 * warmup)
    left, done = 1 - warmup, upto - warmup
    if schedule == "constant_with_warmup":
        return warmup / 2 + done
    if schedule == "cosine":
        return warmup / 2 + done / 2 + left / (2 * math.pi) * math.sin(math.pi * done / left)
    return warmup / 2 + done - done * done / (2 * left)
