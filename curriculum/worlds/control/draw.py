"""Draws starts: at random, on a grid, or as a file lists them."""

import json
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

import numpy as np

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.control.environments.registry import adapter_of, simulator_of
from perdure.curriculum.worlds.control.model import Known
from perdure.curriculum.worlds.control.playing import EpisodeError, limited, listening
from perdure.curriculum.worlds.control.starts import Environment, Start
from perdure.curriculum.worlds.control.tasks import Grid, Gymnasium

MISSES = 500
"""Random starts, one after the other, none of which is new, after which no more are looked for."""

RESERVED = 2
"""Starts that are kept for the base, for each episode that it imitates: an expert may fail at some."""


def row_of(config: Gymnasium, start: Start) -> str:
    """A text that is equal for starts of the same state, or of the same seed where `distinct: seed`.

    Raises:
        DataError: the environment cannot be reset to it.
    """
    if config.distinct == "seed":
        return start.identity
    simulator = simulator_of(start.environment)
    try:
        with listening(), limited(start.environment.seconds):
            return f"{start.environment.key} {adapter_of(start.environment.id).identity(simulator, start)}"
    except EpisodeError as error:
        raise DataError(f"{start.environment.title} cannot be reset (seed {start.seed}, options {start.options}): "
                        f"{error}") from None  # fmt: skip


def random_starts(config: Gymnasium, environment: Environment, *labels: str | int) -> Iterator[Start]:
    """Random starts without end; with a grid they are of the area that it covers."""
    rng = np.random.default_rng(Random("/".join(map(str, labels))).getrandbits(64))
    simulator, adapter = simulator_of(environment), adapter_of(environment.id)
    while True:
        if isinstance(config.starts, Grid):
            options: dict[str, Any] | None = _between(config.starts, adapter, simulator, rng)
        else:
            options = adapter.random_options(simulator, rng)
        seed = int(rng.integers(2**31))
        yield Start(environment, seed if options is None else None, _json(options))


def listed_starts(config: Gymnasium, environment: Environment) -> list[Start]:
    """The places of the grid, or the starts that the file lists."""
    if isinstance(config.starts, Grid):
        return [Start(environment, None, _json(options)) for options in _places(config.starts, environment)]
    return [
        Start(environment, one.seed, _json(one.options)) for one in config.starts if not isinstance(one, str)
    ]  # fmt: skip


def known_starts(known: Known, environment: Environment) -> Iterator[Start]:
    """The starts that are kept for the base's episodes, the same at every seed; all of a list that are not held out."""
    if isinstance(known.task.starts, list):
        return iter(listed_starts(known.task, environment)[: -known.task.heldout])
    starts = random_starts(known.task, environment, "pretrain", environment.key)
    return (next(starts) for _ in range(RESERVED * known.episodes))


def take(config: Gymnasium, starts: Iterator[Start], count: int, without: frozenset[str], what: str) -> list[Start]:
    """The first `count` different starts that are not among `without`.

    Raises:
        DataError: there are fewer.
    """
    found: dict[str, Start] = {}
    misses = 0
    while len(found) < count and misses < MISSES:
        start = next(starts)
        row = row_of(config, start)
        misses += 1
        if row not in without and row not in found:
            found[row], misses = start, 0
    if len(found) == count:
        return list(found.values())
    raise DataError(
        f"{what}: {count} different starts were asked for, and there are {len(found)}: the last {MISSES} random ones "
        "were not new (starts that are held out or kept for the base do not count). Ask for fewer, or set `distinct: "
        "seed` if starts that look alike go on differently"
    )


def _json(options: dict[str, Any] | None) -> str | None:
    return None if options is None else json.dumps(options, sort_keys=True)


def _places(starts: Grid, environment: Environment) -> list[dict[str, Any]]:
    if isinstance(starts.grid, list):
        return adapter_of(environment.id).grid_options(simulator_of(environment), tuple(starts.grid))
    lines = [np.linspace(low, high, count).tolist() for low, high, count in starts.grid.values()]
    return [_nested(dict(zip(starts.grid, place, strict=True))) for place in product(*lines)]


def _between(starts: Grid, adapter: Any, simulator: Any, rng: np.random.Generator) -> dict[str, Any]:
    if isinstance(starts.grid, list):
        found: dict[str, Any] = adapter.between_options(simulator, tuple(starts.grid), rng)
        return found
    return _nested({path: float(rng.uniform(low, high)) for path, (low, high, _) in starts.grid.items()})


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    """`{"a.x": 1, "a.y": 2}` as `{"a": {"x": 1, "y": 2}}`; whole numbers in a path are places of a list."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        here = found
        for one in parents:
            here = here.setdefault(one, {})
        here[last] = value
    return _lists(found)  # type: ignore[no-any-return]


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(one) for key, one in value.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
