"""The lives of an environment: one after another, each with the loop, the budget and the folder of a run."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from random import Random
from typing import Any

from perdure.agent.life import Life
from perdure.agent.run.events import Event
from perdure.agent.seeds import derive
from perdure.agent.setup import start
from perdure.agent.worlds.contract import World
from perdure.agent.worlds.registry import make_world
from perdure.budget.errors import ConfigError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import StrategyConfig

MEMORY = Path("/dev/shm")
"""A folder in memory, on systems that have one: nothing there waits for a disk."""


class Nobody:
    """A view that looks away."""

    def past(self, events: Iterable[Event]) -> None:
        """See `View`."""

    def event(self, event: Event) -> None:
        """See `View`."""

    def progress(self, progress: dict[str, Any]) -> None:
        """See `View`."""


class Lives:
    """Begins lives, one at a time; a base is made once for all lives in a row that share it."""

    def __init__(self) -> None:
        self._made: tuple[object, World] | None = None

    def begin(self, curriculum: Curriculum, folder: Path) -> Life:
        """A new life in a new run folder; nothing is measured yet.

        Raises:
            PerdureError: as `perdure.agent.setup.start`.
        """
        return start(curriculum, folder, Nobody(), make=self._world)

    def _world(self, curriculum: Curriculum) -> World:
        key = (curriculum.model, curriculum.model.drawn_from(curriculum.seed))
        if self._made is None or self._made[0] != key:
            self._made = None  # the old base makes room before the new one is loaded
            self._made = (key, make_world(curriculum))
        world = self._made[1]
        world.become_base()
        return world


def read(asked: str | PathLike[str] | Curriculum, overrides: Sequence[str]) -> Curriculum:
    """A curriculum by its shipped name, by its file, or as it is.

    Raises:
        CurriculumError: as `read_curriculum`.
        ConfigError: overrides for a curriculum that was not read from a file.
    """
    if not isinstance(asked, Curriculum):
        return read_curriculum(Path(asked), overrides).curriculum
    if overrides:
        raise ConfigError("`overrides` are for a curriculum by name or path; change this one before it is given")
    return asked


def left_to(strategy: StrategyConfig, curriculum: Curriculum) -> Curriculum:
    """The curriculum with every stage's method left to a strategy."""
    stages = [stage.model_copy(update={"method": None}) for stage in curriculum.stages]
    return curriculum.model_copy(update={"stages": stages, "strategy": strategy})


def episode(curriculum: Curriculum, seed: int, *, shuffle: bool) -> Curriculum:
    """The curriculum of one life: with that seed, and its stages in an order that follows from it if shuffled."""
    stages = list(curriculum.stages)
    if shuffle:
        Random(derive(seed, "order")).shuffle(stages)
    return curriculum.model_copy(update={"seed": seed, "stages": stages})


class Scratch:
    """A folder for the run of the moment, in `parent` or, for small models, in memory; removed when it is cleared."""

    def __init__(self, parent: Path | None, *, small: bool) -> None:
        self._parent = MEMORY if parent is None and small and MEMORY.is_dir() else parent
        self._folder: Path | None = None

    def fresh(self) -> Path:
        """A path for a new run; what was there before is removed."""
        self.clear()
        self._folder = Path(tempfile.mkdtemp(prefix="perdure-", dir=self._parent))
        return self._folder / "life"

    def clear(self) -> None:
        """Remove the folder, if there is one."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
