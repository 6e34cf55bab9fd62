"""Plays episodes in step: one call chooses the actions of all that go on."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.curriculum.counting import count
from perdure.curriculum.import_path import show_error
from perdure.curriculum.messages import printable, shorten
from perdure.curriculum.worlds.control.actions import Actions, NoActionError
from perdure.curriculum.worlds.control.environments.contract import Observation, Simulator, StepResult
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.starts import Environment, Start

LONGEST_FAULT = 300
"""Characters of what an environment's error says."""

SLOTS = 96
"""Episodes that are played in step."""

Choose = Callable[[Sequence[Observation], Sequence[int]], NDArray[np.int64]]
"""Chooses the actions, shape (N, D), of N observations; the numbers are those of their episodes."""


class EpisodeError(Exception):
    """An environment failed; the message says how."""


@dataclass
class _Going:
    """An episode that goes on."""

    number: int
    slot: int
    simulator: Simulator
    environment: Environment
    now: Observation
    observations: list[Observation] = field(default_factory=list)
    actions: list[NDArray[np.int64]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    steps: int = 0
    success: bool | None = None
    info: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None

    def done(self, dimensions: int) -> Episode:
        """The episode, whose actions have so many dimensions."""
        actions_TD = np.array(self.actions, np.int64).reshape(-1, dimensions)
        rewards_T = np.array(self.rewards, np.float64)
        seen = tuple(self.observations)
        return Episode(seen, actions_TD, rewards_T, self.steps, self.success, self.info, self.fault)


def play(starts: Sequence[Start], actions: Actions, choose: Choose, *, slots: int = SLOTS) -> list[Episode]:
    """One episode from each start, in order.

    What an episode is does not depend on which others are played beside it, as long as `choose` does not.

    Raises:
        ConfigError: an environment cannot be made.
    """
    found: list[Episode] = []
    for first in range(0, len(starts), slots):
        found += _together(starts[first : first + slots], first, actions, choose)
    return found


def _together(starts: Sequence[Start], first: int, actions: Actions, choose: Choose) -> list[Episode]:
    with listening():
        all_of_them = [_begin(start, first + index, index) for index, start in enumerate(starts)]
        going = [one for one in all_of_them if one.fault is None]
        count(len(all_of_them) - len(going))
        while going:
            before = len(going)
            chosen_ND = choose([one.now for one in going], [one.number for one in going])
            going = [one for one, chosen_D in zip(going, chosen_ND, strict=True) if _goes_on(one, chosen_D, actions)]
            count(before - len(going))
    return [one.done(len(actions.sizes)) for one in all_of_them]


def _begin(start: Start, number: int, slot: int) -> _Going:
    simulator, nothing = simulator_of(start.environment), Observation()
    going = _Going(number, slot, simulator, start.environment, nothing)
    try:
        with limited(start.environment.seconds):
            going.now = checked(simulator.reset(slot, start))
    except EpisodeError as error:
        going.fault = f"reset: {error}"
    return going


def _goes_on(one: _Going, chosen_D: NDArray[np.int64], actions: Actions) -> bool:
    """Take one decision; false if the episode has ended."""
    one.observations.append(one.now)
    one.actions.append(chosen_D)
    try:
        action = actions.decode(chosen_D)
        with limited(one.environment.seconds):
            step = one.simulator.step(one.slot, action, one.environment.action_repeat)
        one.now = checked_step(one.environment, step).observation
    except (EpisodeError, NoActionError) as error:
        one.rewards.append(0.0)
        one.fault, one.success = f"decision {len(one.actions)}: {error}", False
        return False
    one.rewards.append(step.reward)
    one.steps, one.success, one.info = one.steps + step.steps, step.success, step.info
    return not step.ended and len(one.actions) < one.environment.horizon


def checked(observation: Observation) -> Observation:
    """The observation.

    Raises:
        EpisodeError: it holds a number that is not finite.
    """
    image = observation.image
    finite = np.isfinite(observation.vector).all() and (
        image is None or image.dtype == np.uint8 or np.isfinite(image).all()
    )
    if not finite:
        raise EpisodeError("the observation has a number that is not finite")
    return observation


def checked_step(environment: Environment, step: StepResult) -> StepResult:
    """The result of a decision.

    Raises:
        EpisodeError: a number that is not finite, or no word about success where the reward needs it.
    """
    checked(step.observation)
    if not np.isfinite(step.reward):
        raise EpisodeError(f"the reward is {step.reward}")
    if step.success is None and environment.success == "info":
        keys = ", ".join(sorted(map(repr, map(str, step.info)))) or "nothing"
        raise EpisodeError(
            f"it does not report success: `info` has no {environment.success_key!r} (it has {keys}); name another key "
            "(`success_key`), a threshold (`success: return > 0`) or a function (`success: module:name`)"
        )
    return step


class _LateError(BaseException):
    """No `Exception`, which an environment may catch."""


def _heard(_number: int, _frame: object) -> None:
    raise _LateError


@contextmanager
def listening() -> Iterator[None]:
    """Makes `limited` work inside; only in the main thread, which alone hears signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Gives code of an environment so many seconds.

    Raises:
        EpisodeError: it took longer, or it failed.
    """
    heard = signal.getsignal(signal.SIGALRM) is _heard and threading.current_thread() is threading.main_thread()
    try:
        try:
            if heard:
                signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            if heard:
                signal.setitimer(signal.ITIMER_REAL, 0)
    except _LateError:
        raise EpisodeError(f"no answer after {seconds:g} s") from None
    except EpisodeError:
        raise
    except Exception as error:
        raise EpisodeError(_shown(error)) from error


def _shown(error: Exception) -> str:
    return shorten(printable(" ".join(show_error(error).split()), kept=""), LONGEST_FAULT)
