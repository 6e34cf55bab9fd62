"""Looks at the environment of a task before a run begins: its starts, its actions, an episode of random actions."""

from collections.abc import Sequence
from pathlib import Path
from shutil import which

import numpy as np

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.worlds.control.actions import Actions
from perdure.curriculum.worlds.control.environments.contract import Observation, Simulator
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.interface import Interface, interface_of
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.playing import EpisodeError, checked, limited, listening, play
from perdure.curriculum.worlds.control.policy_actions import policy_actions
from perdure.curriculum.worlds.control.starts import Environment, Start
from perdure.curriculum.worlds.control.token_actions import missing, read_json
from perdure.curriculum.worlds.control.vla import Worker

LOOKS = 3
"""Episodes of random actions, of which one must come to its end: an environment may fail now and then."""


def simulator_for(environment: Environment, owner: str) -> Simulator:
    """The simulator of an environment.

    Raises:
        ConfigError: it cannot be made; names the owner.
    """
    try:
        return simulator_of(environment)
    except ConfigError as error:
        raise ConfigError(f"{owner}: {error}") from None


def refuse_absent(model: ControlModel, environment: Environment, owner: str) -> None:
    """Refuse, in one message, an environment and a worker that are not on this machine.

    Raises:
        ConfigError: names all that is missing.
    """
    lacking: list[str] = []
    try:
        simulator_for(environment, owner)
    except ConfigError as error:
        lacking.append(str(error))
    if isinstance(model.policy, Worker):
        python = str(Path(model.policy.command[0]).expanduser())
        if which(python) is None:
            lacking.append(f"model.policy.command: there is no {python}; docs/openvla.md says how to make the worker's "
                           "environment")  # fmt: skip
        if read_json(model.policy, "config.json") is None:
            lacking.append(missing(model.policy))
    if lacking:
        raise ConfigError("; also ".join(lacking))


def look_at(
    environment: Environment, starts: Sequence[Start], model: ControlModel, owner: str
) -> tuple[Interface, Actions]:
    """The interface and the actions of an environment that can be reset to a start.

    Raises:
        ConfigError: its action space cannot be discretised.
        DataError: it cannot be reset, or one start gives two observations.
    """
    actions = policy_actions(model, simulator_of(environment).action_space, owner)
    seen, _, again = (_first(start, owner) for start in (starts[0], starts[-1], starts[0]))
    if not same(seen, again):
        raise DataError(
            f"{owner}: one start gives two observations: `reset` does not follow its `seed` and `options` alone. "
            "Training and held-out starts could not be told apart; wrap it (`wrappers`) so that it does"
        )
    return interface_of(owner, seen, actions, environment.action_repeat), actions


def same(one: Observation, other: Observation) -> bool:
    """True if two observations are equal."""
    images = (one.image is None) == (other.image is None) and (
        one.image is None or np.array_equal(one.image, np.asarray(other.image))
    )
    return images and np.array_equal(one.vector, other.vector) and one.instruction == other.instruction


def _first(start: Start, owner: str) -> Observation:
    try:
        with listening(), limited(start.environment.seconds):
            return checked(simulator_of(start.environment).reset(0, start))
    except EpisodeError as error:
        raise DataError(f"{owner}: it cannot be reset: {error}") from None


def refuse_failing(starts: Sequence[Start], actions: Actions, owner: str) -> None:
    """Play episodes of random actions, to see that the environment works and says whether it succeeded.

    Raises:
        DataError: all of `LOOKS` fail.
    """
    rng = np.random.default_rng(0)
    faults: list[str] = []
    for start in starts[:LOOKS]:
        (episode,) = play([start], actions, lambda seen, _: actions.random(rng, len(seen)))
        if episode.fault is None:
            return
        faults.append(episode.fault)
    raise DataError(f"{owner} failed in {len(faults)} of {len(faults)} episodes of random actions: {faults[0]}")
