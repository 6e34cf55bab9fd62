"""The folder of a sweep: what lies where, and how each thing gets there in one step. Imports nothing heavy.

sweep.json        the resolved sweep: every cell with its whole curriculum, and the versions it was begun with
cells/ID.parquet  the rows of a finished cell
cells/ID/         the run folder of a cell that is a life of its own
failed/ID.json    why a cell failed
scores/           scores of the base, which its lives share
workers.log       what the processes printed
results.parquet   all rows, at the end
"""

import json
import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from perdure.agent.run.folder import read_json
from perdure.agent.run.lock import held, is_held
from perdure.budget.errors import DiskFullError, RunError
from perdure.budget.files import is_full_disk, write_whole


class SweepFolder:
    """Paths inside one sweep folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = path / "sweep.json"
        self.cells = path / "cells"
        self.failed = path / "failed"
        self.scores = path / "scores"
        self.log = path / "workers.log"
        self.results = path / "results.parquet"

    def rows(self, cell: str) -> Path:
        """The rows of a finished cell: there whole, or not there."""
        return self.cells / f"{cell}.parquet"

    def life(self, cell: str) -> Path:
        """The run folder of a cell."""
        return self.cells / cell

    def failure(self, cell: str) -> Path:
        """Why a cell failed."""
        return self.failed / f"{cell}.json"


def create(path: Path, description: dict[str, Any]) -> SweepFolder:
    """Make a sweep folder with its `sweep.json`; it appears in one step.

    Raises:
        RunError: something of that name is there, or the place cannot be written to.
        DiskFullError: no space left.
    """
    if path.exists():
        raise RunError(f"{path} exists and is no sweep; choose another --output-dir")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    made = SweepFolder(partial)
    try:
        for folder in (made.cells, made.failed, made.scores):
            folder.mkdir(parents=True)
        write_description(made, description)
        partial.rename(path)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if is_full_disk(error):
            raise DiskFullError(f"no space left to make the sweep folder {path}; nothing was written") from error
        raise RunError(f"cannot make the sweep folder {path}: {error.strerror}") from error
    return SweepFolder(path)


def write_description(folder: SweepFolder, description: dict[str, Any]) -> None:
    """Write `sweep.json`, whole or not at all."""
    write_whole(folder.description, json.dumps(description).encode())


def read_description(folder: SweepFolder) -> dict[str, Any]:
    """What `write_description` wrote.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return dict(read_json(folder.description))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{folder.description} cannot be read: {error}") from error


def locked(folder: SweepFolder) -> AbstractContextManager[None]:
    """Hold the sweep for one process.

    Raises:
        RunError: on entering, if another process has it.
    """
    return held(folder.path, "perdure show")


def in_use(folder: SweepFolder) -> bool:
    """True while a process holds the sweep."""
    return is_held(folder.path)


def clear_leftovers(folder: SweepFolder) -> None:
    """Remove what a kill left half written: never part of the sweep."""
    places = (folder.path, folder.cells, folder.failed, folder.scores)
    for leftover in (one for place in places for one in place.glob("*.partial")):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
