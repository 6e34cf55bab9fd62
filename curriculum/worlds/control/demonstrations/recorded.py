"""Recorded demonstrations as episodes of an environment."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.control.actions import Actions
from perdure.curriculum.worlds.control.demonstrations.hdf5 import read_hdf5
from perdure.curriculum.worlds.control.demonstrations.lerobot import read_lerobot
from perdure.curriculum.worlds.control.demonstrations.minari import folder_of, read_minari
from perdure.curriculum.worlds.control.demonstrations.parquet import read_parquet
from perdure.curriculum.worlds.control.demonstrations.recording import Recording, at, rows
from perdure.curriculum.worlds.control.environments.contract import Observation, Simulator
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.playing import EpisodeError, checked, limited, listening
from perdure.curriculum.worlds.control.rewards import SUCCESS, reward_of
from perdure.curriculum.worlds.control.starts import Environment, Start
from perdure.curriculum.worlds.control.tasks import Recorded

ROUNDING = 1e-4
"""How far a recorded action may lie outside of its bounds, as a share of their distance."""

HDF5, PARQUET = (".hdf5", ".h5"), (".parquet",)


@dataclass(frozen=True)
class Recollection:
    """A demonstrated episode and its reward: 1 or 0 where a recording says itself whether it succeeded."""

    episode: Episode
    reward: float

    @property
    def succeeded(self) -> bool:
        """True if it is imitated."""
        return self.reward >= SUCCESS


def recorded_episodes(config: Recorded, environment: Environment, actions: Actions, owner: str) -> list[Recollection]:
    """The episodes of a recording, in its order.

    Raises:
        ConfigError: a library is missing, or a recording of another environment.
        DataError: a damaged file; observations or actions of another shape; no word about success. Names the place.
    """
    if config.action_repeat != environment.action_repeat:
        raise DataError(
            f"{owner}: recorded actions were held for {config.action_repeat} steps (`demonstrations.action_repeat`), "
            f"and the task holds its own for {environment.action_repeat} (`action_repeat`)"
        )
    simulator = simulator_of(environment)
    found = islice(_read(config, environment, simulator), config.episodes)
    return [_recollected(one, environment, simulator, actions) for one in found]


def _read(config: Recorded, environment: Environment, simulator: Simulator) -> Iterator[Recording]:
    path, space = Path(config.path), simulator.observation_space
    if config.type == "minari":
        return read_minari(config.path, environment)
    if config.type == "lerobot":
        return read_lerobot(path, config.observation, space, environment.instruction)
    if path.suffix in HDF5:
        return read_hdf5(path, config.observation, space)
    if path.suffix in PARQUET:
        return read_parquet(path, config.observation, space)
    ends = ", ".join((*HDF5, *PARQUET))
    raise DataError(f"{path}: a file of episodes ends in {ends}; folders are `type: lerobot` or `minari`")


def _recollected(one: Recording, environment: Environment, simulator: Simulator, actions: Actions) -> Recollection:
    steps = _length(one)
    try:
        seen = tuple(checked(simulator.recorded(at(one.observations, step))) for step in range(steps))
        done_TD = np.stack([_encoded(one.actions[step], actions) for step in range(steps)])
    except (EpisodeError, ValueError) as error:
        raise DataError(f"{one.place}: {error}") from None
    rewards_T = np.zeros(steps) if one.rewards is None else one.rewards[:steps]
    success = None if one.success is None else bool(np.any(one.success))
    episode = Episode(seen, done_TD, rewards_T, steps, success, {})
    return Recollection(episode, _reward(one, episode, environment))


def _length(one: Recording) -> int:
    """The steps of an episode, up to the first that succeeds."""
    lengths = {"actions": len(one.actions)} | ({} if one.rewards is None else {"rewards": len(one.rewards)})
    if isinstance(one.success, np.ndarray):
        lengths["success"] = len(one.success)
    if len(set(lengths.values())) > 1 or rows(one.observations) < len(one.actions):
        said = ", ".join(f"{count} {name}" for name, count in lengths.items())
        raise DataError(f"{one.place}: it has {rows(one.observations)} observations, {said}; these do not go together")
    if not len(one.actions):
        raise DataError(f"{one.place}: it has no step")
    if isinstance(one.success, np.ndarray) and one.success.any():
        return int(one.success.argmax()) + 1
    return len(one.actions)


def _encoded(action: NDArray[np.float64], actions: Actions) -> NDArray[np.int64]:
    shape, wanted = np.shape(action), actions.space.shape
    if shape != wanted and not (wanted == () and shape == (1,)):
        raise ValueError(f"an action of {actions.space} has the shape {wanted}, and in the recording {shape}")
    if not np.isfinite(action).all():
        raise ValueError("an action has a number that is not finite")
    if actions.outside(action) > ROUNDING:
        raise ValueError(f"the action {np.asarray(action).tolist()} lies outside of {actions.space}")
    return actions.encode(action)


def _reward(one: Recording, episode: Episode, environment: Environment) -> float:
    """By the recording's own word, else by the task's `success` if that needs no `info`."""
    if episode.success is not None:
        return float(episode.success)
    if environment.success == "info":
        raise DataError(
            f"{one.place}: whether it succeeded cannot be told: it has no `success`, and the task's `success` is `info`"
            ". Write a threshold (`success: return > 0`) if its rewards tell it, or add `success` to the recording"
        )
    if environment.by_return and one.rewards is None:
        raise DataError(f"{one.place}: it has no rewards, and the task's `success` is {environment.success!r}")
    return reward_of(environment, episode)


def same_start(environment: Environment, one: Observation) -> str:
    """A text that is equal for first observations that a policy cannot tell apart, whatever it is told."""
    return sha256(environment.key.encode() + replace(one, instruction="").content).hexdigest()


def first_of(start: Start) -> str:
    """`same_start` of a start.

    Raises:
        DataError: the environment cannot be reset to it.
    """
    environment = start.environment
    try:
        with listening(), limited(environment.seconds):
            return same_start(environment, simulator_of(environment).reset(0, start))
    except EpisodeError as error:
        raise DataError(f"{environment.title} cannot be reset: {error}") from None


def stamp_of(config: Recorded) -> str:
    """SHA-256 of the files of a recording; pictures and videos are left out."""
    found = sha256()
    path = folder_of(config.path) if config.type == "minari" else Path(config.path)
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    for file in files:
        if file.suffix not in (".mp4", ".png"):
            found.update(f"{file.relative_to(path)}\n".encode() + sha256(file.read_bytes()).digest())
    return found.hexdigest()
