"""Builds a task of the control world: starts to learn from, starts that are held out, and demonstrations."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import EXAMINED, Item, Task
from perdure.curriculum.worlds.control.actions import Actions, actions_of
from perdure.curriculum.worlds.control.demonstrations.attach import demonstrated
from perdure.curriculum.worlds.control.draw import known_starts, listed_starts, random_starts, row_of, take
from perdure.curriculum.worlds.control.environments.registry import adapter_of, simulator_of
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.playing import play
from perdure.curriculum.worlds.control.rewards import EpisodeReward, no_success
from perdure.curriculum.worlds.control.starts import Environment, Start
from perdure.curriculum.worlds.control.tasks import Gymnasium


def build(
    config: Gymnasium,
    *,
    name: str,
    seed: int,
    origin: Path | None,
    model: Any,
    train: bool,
    examined: frozenset[str],
) -> Task:
    """See `perdure.curriculum.worlds.build.build_task`.

    Raises:
        ConfigError: an environment, wrapper, expert or function that is not there or cannot be used.
        DataError: fewer starts than are asked for; an environment that does not report success.
    """
    if not isinstance(model, ControlModel):
        raise ConfigError(f"task {name!r}: `type: gymnasium` goes with `model.type: control`")
    where, environment = f"task {name!r}", environment_of(config)
    actions = actions_of(simulator_of(environment).action_space, model.bins, f"{where}: {environment.title}")
    heldout = _items(config, _heldout(config, environment, seed, model, where))
    _refuse_silent(environment, heldout[0], actions, where)
    reward = EpisodeReward(environment)
    if not train:
        return Task(name, (), heldout, reward)
    chosen, left_out = _training(config, environment, seed, heldout, examined, where)
    items = demonstrated(config, _items(config, chosen), actions, where, seed=seed)
    return Task(name, items, heldout, reward, {EXAMINED: left_out})


def environment_of(config: Gymnasium) -> Environment:
    """The environment of a section, with what its family implies."""
    implied = adapter_of(config.id).defaults(config.id)
    kwargs = config.kwargs | ({} if config.env_name is None else {"env_name": config.env_name})
    return Environment(
        id=config.id,
        kwargs=json.dumps(kwargs, sort_keys=True),
        wrappers=tuple(config.wrappers),
        success=config.success or implied.get("success", "info"),
        success_key=config.success_key,
        horizon=config.horizon,
        action_repeat=config.action_repeat,
        instruction=config.instruction,
        seconds=config.seconds,
    )


def known_rows(model: ControlModel, environment: Environment) -> frozenset[str]:
    """The starts of an environment that are kept for the base."""
    if model.pretrain is None:
        return frozenset()
    found = [(one, environment_of(one.task)) for one in model.pretrain.tasks]
    return frozenset(
        row_of(one.task, start)
        for one, same in found
        if same.key == environment.key
        for start in known_starts(one, same)
    )


def _heldout(config: Gymnasium, environment: Environment, seed: int, model: ControlModel, where: str) -> list[Start]:
    known = known_rows(model, environment)
    if isinstance(config.starts, list):
        listed = listed_starts(config, environment)
        if len(listed) <= config.heldout:
            raise DataError(f"{where}, `starts`: {len(listed)} are listed, and `heldout` takes {config.heldout}")
        return [start for start in listed[-config.heldout :] if row_of(config, start) not in known]
    starts = random_starts(config, environment, seed, "heldout")
    grid = frozenset(row_of(config, start) for start in listed_starts(config, environment))
    return take(config, starts, config.heldout, known | grid, f"{where}, `heldout`")


def _training(
    config: Gymnasium,
    environment: Environment,
    seed: int,
    heldout: Sequence[Item],
    examined: frozenset[str],
    where: str,
) -> tuple[list[Start], int]:
    """The training starts, and how many others are left out since they are examined elsewhere."""
    own = frozenset(item.row for item in heldout if item.row)
    if config.starts == "random":
        starts = random_starts(config, environment, seed, "train")
        return take(config, starts, config.train, own | examined, f"{where}, `train`"), 0
    listed = listed_starts(config, environment)
    listed = listed[: -config.heldout] if isinstance(config.starts, list) else listed
    found = [start for start in listed if row_of(config, start) not in own | examined]
    if not found:
        raise DataError(f"{where}, `starts`: all of them are examined by a stage or a benchmark; give others")
    return found, len(listed) - len(found)


def _items(config: Gymnasium, starts: Sequence[Start]) -> tuple[Item, ...]:
    return tuple(Item(start, row=row_of(config, start)) for start in starts)


def _refuse_silent(environment: Environment, item: Item, actions: Actions, where: str) -> None:
    """Play one episode at random, to see that the environment works and says whether it succeeded."""
    rng = np.random.default_rng(0)
    sizes_D = np.array(actions.sizes)
    (episode,) = play([item.prompt], actions, lambda seen, _: rng.integers(0, sizes_D, (len(seen), len(sizes_D))))
    if episode.fault is not None:
        raise DataError(f"{where}: {environment.title} failed in an episode of random actions: {episode.fault}")
    if environment.success == "info" and episode.success is None:
        raise DataError(f"{where}: {no_success(environment, episode)}")
