"""The points of a sweep: the values that its axes have together."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, product
from math import prod
from typing import Any

from perdure.curriculum.messages import Path
from perdure.curriculum.sweeps.schema import Axis, Sweep


@dataclass(frozen=True)
class Setting:
    """One field of the curriculum, its value, and their places in the sweep file."""

    axis: str
    path: str
    value: Any
    written_at: Path
    value_at: Path
    by_key: bool
    """True if the field is written as a key."""


@dataclass(frozen=True)
class SweepPoint:
    """The value that each axis shows, by name, and the settings that follow."""

    values: dict[str, Any]
    settings: tuple[Setting, ...]


def count_cells(sweep: Sweep) -> int:
    """The number of cells."""
    lengths = [len(axis.choices) for axis in sweep.axes]
    together = prod(lengths) if sweep.combine == "product" else next(iter(lengths), 1)
    return together * len(sweep.seeds or [None])


def sweep_points(sweep: Sweep) -> list[SweepPoint]:
    """Every point, the last axis fastest."""
    choices = [list(_choices(axis, ("axes", index))) for index, axis in enumerate(sweep.axes)]
    if not choices:
        return [SweepPoint({}, ())]
    together = product(*choices) if sweep.combine == "product" else zip(*choices, strict=True)
    titles = [axis.title for axis in sweep.axes]
    return [
        SweepPoint(
            dict(zip(titles, (shown for shown, _ in one), strict=True)),
            tuple(chain.from_iterable(settings for _, settings in one)),
        )
        for one in together
    ]


def _choices(axis: Axis, at: Path) -> Iterator[tuple[Any, tuple[Setting, ...]]]:
    if axis.cells is not None:
        for name, fields in axis.cells.items():
            here = (*at, "cells", name)
            yield name, tuple(_setting(axis, path, value, (*here, path)) for path, value in fields.items())
        return
    assert axis.path is not None
    for index, value in enumerate(axis.choices):
        value_at = (*at, "logspace") if axis.logspace is not None else (*at, "values", index)
        yield value, (Setting(axis.title, axis.path, value, (*at, "path"), value_at, by_key=False),)


def _setting(axis: Axis, path: str, value: Any, at: Path) -> Setting:
    return Setting(axis.title, path, value, at, at, by_key=True)
