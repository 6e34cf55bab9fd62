"""Builds a task of the control world: starts to learn from, starts that are held out, and demonstrations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import EXAMINED, Item, Task
from perdure.curriculum.worlds.control.checks import look_at, refuse_absent, refuse_failing
from perdure.curriculum.worlds.control.demonstrations.attach import demonstrated
from perdure.curriculum.worlds.control.demonstrations.recorded import first_of
from perdure.curriculum.worlds.control.draw import listed_starts, random_starts, row_of, take
from perdure.curriculum.worlds.control.known import environment_of, known_firsts, known_rows, refuse_unfit
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.rewards import EpisodeReward
from perdure.curriculum.worlds.control.starts import Environment, Start
from perdure.curriculum.worlds.control.tasks import Gymnasium

FEWEST = 2
"""Held-out starts: of one there is no standard error."""


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
        DataError: fewer starts than are asked for, or one of them twice; an environment that does not work, or does
            not report success.
    """
    if not isinstance(model, ControlModel):
        raise ConfigError(f"task {name!r}: `type: gymnasium` goes with `model.type: control`")
    where, environment = f"task {name!r}", environment_of(config)
    owner = f"{where} ({environment.title})"
    refuse_absent(model, environment, owner)
    starts = _heldout(config, environment, seed, model, where)
    interface, actions = look_at(environment, starts, model, owner)
    refuse_unfit(interface, model)
    refuse_failing(starts, actions, owner)
    heldout = _items(config, starts)
    reward = EpisodeReward(environment)
    if not train:
        return Task(name, (), heldout, reward)
    chosen, left_out = _training(config, environment, seed, heldout, examined, where)
    firsts = _firsts(config, environment, starts, examined)
    items, more = demonstrated(config, _items(config, chosen), actions, owner, seed=seed, examined=firsts)
    return Task(name, items, heldout, reward, {EXAMINED: left_out + more})


def _heldout(config: Gymnasium, environment: Environment, seed: int, model: ControlModel, where: str) -> list[Start]:
    known, recorded = known_rows(model, config, environment), known_firsts(model, environment)
    if isinstance(config.starts, list):
        listed = listed_starts(config, environment)
        if len(listed) <= config.heldout:
            raise DataError(
                f"{where}, `starts`: {len(listed)} are listed, and `heldout` takes {config.heldout} of them; list "
                "more, or set `heldout`"
            )
        _refuse_twins(config, listed, where)
        found = [start for start in listed[-config.heldout :] if row_of(config, start) not in known]
        found = [start for start in found if not recorded or first_of(start) not in recorded]
        if len(found) < FEWEST:
            raise DataError(
                f"{where}, `starts`: {config.heldout} are held out, and {config.heldout - len(found)} of them are kept "
                f"for the base (`model.pretrain`); at least {FEWEST} must be left: list others"
            )
        return found
    starts = random_starts(config, environment, seed, "heldout")
    listed = listed_starts(config, environment)
    _refuse_twins(config, listed, where)
    grid = frozenset(row_of(config, start) for start in listed)
    fresh = (start for start in starts if not recorded or first_of(start) not in recorded)
    return take(config, fresh, config.heldout, known | grid, f"{where}, `heldout`")


def _firsts(
    config: Gymnasium, environment: Environment, heldout: Sequence[Start], examined: frozenset[str]
) -> frozenset[str]:
    """The first observations of starts that are held out here or examined elsewhere, where episodes are recorded."""
    if not config.recorded:
        return frozenset()
    elsewhere = [Start.of_identity(key, environment) for key in examined]
    return frozenset(first_of(start) for start in (*heldout, *elsewhere) if start is not None)


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


def _refuse_twins(config: Gymnasium, listed: Sequence[Start], where: str) -> None:
    first: dict[str, int] = {}
    for index, start in enumerate(listed):
        other = first.setdefault(row_of(config, start), index)
        if other != index:
            raise DataError(
                f"{where}, `starts`: numbers {other} and {index} of {len(listed)}, from 0, are the same start; leave "
                "one out, or set `distinct: seed` if starts that look alike go on differently"
            )


def _items(config: Gymnasium, starts: Sequence[Start]) -> tuple[Item, ...]:
    return tuple(Item(start, row=row_of(config, start)) for start in starts)
