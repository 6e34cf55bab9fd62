"""The episodes of an environment: runs one after another, each with a run folder."""

import shutil
import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from random import Random

from perdure.agent.life import Life
from perdure.agent.run.log import NullView
from perdure.agent.seeds import derive
from perdure.agent.setup import start
from perdure.agent.worlds.contract import World
from perdure.agent.worlds.registry import make_world
from perdure.budget.errors import ConfigError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import StrategyConfig

MEMORY_FOLDER = Path("/dev/shm")
"""A folder in memory, on systems that have one."""


class Episodes:
    """Starts runs one after another; successive runs with the same base share it."""

    def __init__(self) -> None:
        self._made: tuple[object, World] | None = None

    def start(self, curriculum: Curriculum, folder: Path) -> Life:
        """Start a run in a new run folder; nothing is measured yet.

        Raises:
            PerdureError: as `perdure.agent.setup.start`.
        """
        return start(curriculum, folder, NullView(), make=self._world)

    def _world(self, curriculum: Curriculum) -> World:
        key = (curriculum.model, curriculum.model.drawn_from(curriculum.seed))
        if self._made is None or self._made[0] != key:
            self._made = None  # frees the old base before the new one is loaded
            self._made = (key, make_world(curriculum))
        world = self._made[1]
        world.become_base()
        return world


def load_curriculum(source: str | PathLike[str] | Curriculum, overrides: Sequence[str]) -> Curriculum:
    """A curriculum from its shipped name, its path, or itself.

    Raises:
        CurriculumError: as `read_curriculum`.
        ConfigError: overrides for a `Curriculum`.
    """
    if not isinstance(source, Curriculum):
        return read_curriculum(Path(source), overrides).curriculum
    if overrides:
        raise ConfigError("`overrides` apply to a curriculum by name or path; change a `Curriculum` before passing it")
    return source


def with_strategy(strategy: StrategyConfig, curriculum: Curriculum) -> Curriculum:
    """The curriculum with a strategy that chooses the method of every stage."""
    stages = [stage.model_copy(update={"method": None}) for stage in curriculum.stages]
    return curriculum.model_copy(update={"stages": stages, "strategy": strategy})


def episode(curriculum: Curriculum, seed: int, *, shuffle: bool) -> Curriculum:
    """The curriculum of one episode, with that seed, and with its stages in an order derived from it if `shuffle`."""
    stages = list(curriculum.stages)
    if shuffle:
        Random(derive(seed, "order")).shuffle(stages)
    return curriculum.model_copy(update={"seed": seed, "stages": stages})


class TemporaryFolder:
    """The temporary folder of the current run, in `parent` or, for small models, in memory."""

    def __init__(self, parent: Path | None, *, small: bool) -> None:
        self._parent = MEMORY_FOLDER if parent is None and small and MEMORY_FOLDER.is_dir() else parent
        self._folder: Path | None = None

    def fresh(self) -> Path:
        """A path for a new run; removes the folder of the last one."""
        self.clear()
        self._folder = Path(tempfile.mkdtemp(prefix="perdure-", dir=self._parent))
        return self._folder / "run"

    def clear(self) -> None:
        """Remove the folder, if there is one."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
