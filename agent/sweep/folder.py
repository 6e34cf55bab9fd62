"""The folder of a sweep; its files are written atomically. Imports nothing heavy.

sweep.json        the resolved sweep: every cell with its curriculum, and the versions it began with
cells/ID.parquet  the rows of a finished cell
cells/ID/         the run folder of a cell that is a run of its own
cells/ID.lock     held by the process that runs the cell alone
failed/ID.json    the reason why a cell failed
scores/           scores of the base, named by their keys, shared by the runs
bases/            texts of the base and what belongs to them, named by their keys, shared by the runs
workers.log       the output of the processes
results.parquet   all rows, at the end
"""

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from perdure.agent.run.folder import read_json, write_json
from perdure.agent.run.lock import held, is_held
from perdure.budget import files
from perdure.budget.errors import DiskFullError, RunError
from perdure.budget.files import is_full_disk, make_folder, new_folder

SHA256 = "sha256"


class SweepFolder:
    """Paths inside one sweep folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = path / "sweep.json"
        self.cells = path / "cells"
        self.failed = path / "failed"
        self.scores = path / "scores"
        self.bases = path / "bases"
        self.log = path / "workers.log"
        self.results = path / "results.parquet"

    def rows(self, cell: str) -> Path:
        """The rows of a finished cell."""
        return self.cells / f"{cell}.parquet"

    def run(self, cell: str) -> Path:
        """The run folder of a cell."""
        return self.cells / cell

    def failure(self, cell: str) -> Path:
        """The reason why a cell failed."""
        return self.failed / f"{cell}.json"


def create_sweep(path: Path, description: dict[str, Any], *, shared: bool = False) -> SweepFolder:
    """Make a sweep folder with its `sweep.json`, atomically; if `shared`, unless another process makes it meanwhile.

    Raises:
        RunError: the path exists, or cannot be written to.
        DiskFullError: the disk is full.
    """
    taken = RunError(f"{path} exists and is no sweep; choose another --output-dir")
    if path.exists() and not (shared and SweepFolder(path).description.is_file()):
        raise taken
    try:
        with new_folder(path, shared=shared) as partial:
            made = SweepFolder(partial)
            for folder in (made.cells, made.failed, made.scores):
                make_folder(folder)
            write_description(made, description)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            if shared and SweepFolder(path).description.is_file():
                return SweepFolder(path)
            raise taken from error
        if is_full_disk(error):
            raise DiskFullError(f"no space to make the sweep folder {path}; nothing was written") from error
        raise RunError(f"cannot make the sweep folder {path}: {error.strerror}") from error
    return SweepFolder(path)


def write_description(folder: SweepFolder, description: dict[str, Any]) -> None:
    """Write `sweep.json` atomically, with the SHA-256 of what it says."""
    write_json(folder.description, description | {SHA256: _digest(description)})


def read_description(folder: SweepFolder) -> dict[str, Any]:
    """Read `sweep.json`; one of an older version holds no SHA-256.

    Raises:
        RunError: it cannot be read, or does not say what was written.
    """
    description = read_json(folder.description)
    if description.pop(SHA256, None) not in (None, _digest(description)):
        raise RunError(
            f"{folder.description} was changed or damaged, its SHA-256 differs: put it back from a copy, or begin the "
            "sweep again in another --output-dir"
        )
    return description


def _digest(description: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in description.items() if key != SHA256}
    read_back = json.loads(json.dumps(rest))  # with keys that are text
    return sha256(json.dumps(read_back, sort_keys=True).encode()).hexdigest()


def lock_sweep(folder: SweepFolder) -> AbstractContextManager[None]:
    """Lock the sweep for one process.

    Raises:
        RunError: on entering, if another process holds the lock.
    """
    return held(folder.path, "perdure show")


@contextmanager
def lock_cell(folder: SweepFolder, cell: str) -> Iterator[None]:
    """Lock one cell for one process, whatever becomes of the others; meanwhile none may lock the sweep.

    Raises:
        RunError: on entering, if another process holds the cell or the sweep.
    """
    what = f"cell {cell} of {folder.path}"
    with share_sweep(folder), held(folder.cells, "perdure show", name=_lock(cell), what=what):
        yield


def share_sweep(folder: SweepFolder) -> AbstractContextManager[None]:
    """Let no process lock the sweep meanwhile; cells may be locked.

    Raises:
        RunError: on entering, if another process holds the sweep.
    """
    return held(folder.path, "perdure show", shared=True)


def runs_now(folder: SweepFolder, cell: str) -> bool:
    """True while a process runs the cell alone."""
    return is_held(folder.cells, _lock(cell))


def _lock(cell: str) -> str:
    return f"{cell}.lock"


def clear_leftovers(folder: SweepFolder) -> None:
    """Remove files that a kill left half written."""
    for place in (folder.path, folder.cells, folder.failed, folder.scores):
        files.clear_leftovers(place)
