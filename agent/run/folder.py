"""The folder of a run: what lies where, and how each thing gets there in one step."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from perdure.agent.run.lock import held
from perdure.budget.errors import DiskFullError, RunError
from perdure.budget.files import is_full_disk, sync, write_atomic


class RunFolder:
    """Paths inside one run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = path / "run.json"
        self.journal = path / "journal.jsonl"
        self.progress = path / "progress.json"
        self.base = path / "base"

    def stage(self, number: int, name: str) -> Path:
        """A committed stage: it is there whole, or not there."""
        return self.path / "stages" / f"{number:02d}-{name}"

    def partial_stage(self, number: int, name: str) -> Path:
        """A stage that is not committed: checkpoints, the last good state, and what the remedies write."""
        return self.path / "stages" / f"{number:02d}-{name}.partial"


def check_free(path: Path) -> None:
    """Refuse a folder that exists, a run or not.

    Raises:
        RunError: something of that name is there.
    """
    if (path / "run.json").exists():
        raise RunError(f"{path} exists; choose another --output-dir, or go on with: perdure resume {path}")
    if path.exists():
        raise RunError(f"{path} exists and is no run; choose another --output-dir")


def fresh_path(parent: Path, name: str) -> Path:
    """The first of NAME-1, NAME-2, … that is free."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def create(path: Path, description: dict[str, Any]) -> RunFolder:
    """Make a run folder with its `run.json`; it appears in one step.

    Raises:
        RunError: something of that name is there, or the place cannot be written to.
    """
    check_free(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        (partial / "stages").mkdir(parents=True)
        (partial / "scores").mkdir()
        write_json(partial / "run.json", description)
        partial.rename(path)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if is_full_disk(error):
            raise
        raise RunError(f"cannot make the run folder {path}: {error.strerror}") from error
    return RunFolder(path)


def open_folder(path: Path) -> RunFolder:
    """An existing run folder.

    Raises:
        RunError: there is none, or it holds no run.
    """
    folder = RunFolder(path)
    if not folder.description.is_file():
        state = "is not a run folder (it has no run.json)" if path.exists() else "does not exist"
        raise RunError(f"{path} {state}; start a run with: perdure run FILE --output-dir {path}")
    return folder


def locked(folder: RunFolder) -> AbstractContextManager[None]:
    """Hold the run for one process.

    Raises:
        RunError: on entering, if another process has it.
    """
    return held(folder.path, "perdure watch")


@contextmanager
def full_disk_explained(folder: RunFolder) -> Iterator[None]:
    """Turn "no space left", from Python or from safetensors, into one message.

    Raises:
        DiskFullError: in place of what was raised inside.
    """
    try:
        yield
    except Exception as error:
        if not is_full_disk(error):
            raise
        raise DiskFullError(
            f"no space left for {folder.path}. Nothing that was committed is lost: free some space, then go on with: "
            f"perdure resume {folder.path}"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that is there whole or not at all, and on the disk."""
    write_atomic(path, json.dumps(value, indent=1).encode())


def read_json(path: Path) -> Any:
    """The object that `write_json` wrote."""
    return json.loads(path.read_text())


def commit_folder(partial: Path, final: Path) -> None:
    """Make a folder final: sync its files, then one rename."""
    for file in partial.rglob("*"):
        if file.is_file():
            sync(file)
    partial.rename(final)
    sync(final.parent)
