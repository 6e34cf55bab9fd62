"""The folder of a run: what lies where, and how each thing gets there in one step."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from perdure.agent.run.lock import held
from perdure.budget import ranks
from perdure.budget.errors import DiskFullError, PerdureError, RunError
from perdure.budget.files import (
    NO_SPACE,
    error_number,
    is_full_disk,
    make_folder,
    new_folder,
    sync,
    sync_all,
    write_atomic,
)
from perdure.budget.plain_json import from_words, with_words
from perdure.curriculum.messages import shorten


def row_name(number: int, name: str) -> str:
    """`02-german`: the name of a row of the table on the disk."""
    return f"{number:02d}-{name}"


POLICY = "policy"
"""The folder of the policy in that of a committed stage."""


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
        return self.path / "stages" / row_name(number, name)

    def partial_stage(self, number: int, name: str) -> Path:
        """A stage that is not committed: checkpoints, the last good state, and what the remedies write."""
        return self.path / "stages" / f"{row_name(number, name)}.partial"


MAX_NAME_BYTES, MAX_PATH_BYTES = 200, 3000
"""Of a run folder: the files in it and its temporary name need room within the system's 255 and 4096."""


def check_free(path: Path) -> None:
    """Refuse a folder that exists, a run or not, and one that cannot be made.

    Raises:
        RunError: something of that name is there; the name is too long or not UTF-8; no permission.
    """
    try:
        too_long = len(path.name.encode()) > MAX_NAME_BYTES or len(str(path.absolute()).encode()) > MAX_PATH_BYTES
    except UnicodeEncodeError:
        raise RunError(f"--output-dir {shorten(ascii(str(path)))} is not UTF-8") from None
    if too_long:
        raise RunError(
            f"--output-dir {shorten(str(path))} is too long; its last part may have {MAX_NAME_BYTES} bytes, and all of "
            f"it {MAX_PATH_BYTES}"
        )
    try:
        _refuse_taken(path)
        above = next(parent for parent in path.absolute().parents if parent.exists())
    except OSError as error:
        raise RunError(f"--output-dir {path} cannot be made: {error.strerror}") from error
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        reason = "no permission to write there" if above.is_dir() else "it is a file"
        raise RunError(f"--output-dir {path} cannot be made in {above}: {reason}")


def _refuse_taken(path: Path) -> None:
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
    try:
        with new_folder(path) as partial:
            make_folder(partial / "stages")
            make_folder(partial / "scores")
            write_json(partial / "run.json", description)
    except OSError as error:
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
    """Hold the run for this process, or for all that train it together.

    Raises:
        RunError: on entering, if another process has it.
    """
    return held(folder.path, "perdure watch") if ranks.is_main() else nullcontext()


@contextmanager
def disk_explained(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses in a folder, from Python or from safetensors, into one message.

    Raises:
        DiskFullError: there is no space.
        RunError: any other error of the system about a file in the folder.
    """
    try:
        yield
    except PerdureError:
        raise
    except Exception as error:
        number, named = error_number(error), getattr(error, "filename", None)
        after = f"Nothing that was committed is lost: {{}}, then go on with: perdure resume {folder}"
        if number in NO_SPACE:
            raise DiskFullError(f"no space left for {folder}. {after.format('free some space')}") from error
        if number is None or named is None or not Path(str(named)).absolute().is_relative_to(folder.absolute()):
            raise
        raise RunError(f"{named}: {os.strerror(number)}. {after.format('mend this')}") from error


@contextmanager
def loss_explained(folder: Path) -> Iterator[None]:
    """Turn the errors that follow when another process of the run ends into one message.

    Raises:
        LostError: what that process said, and the remedy.
    """
    try:
        yield
    except Exception as error:
        if not ranks.lost(error):
            raise
        after = f"Nothing that was committed is lost; go on with: perdure resume {folder}, by the same launcher"
        word = ranks.last_word() or "another process of this run ended without a word (killed, or out of memory)"
        raise ranks.LostError(f"{word}. {after}") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object that is there whole or not at all, and on the disk."""
    write_atomic(path, json.dumps(with_words(value), indent=1, allow_nan=False).encode())


def read_json(path: Path) -> dict[str, Any]:
    """The object that `write_json` wrote.

    Raises:
        RunError: it cannot be read, or is no JSON object.
    """
    try:
        return from_words(json.loads(path.read_bytes()))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} is damaged, it is no JSON object: {error}") from error


def commit_folder(partial: Path, final: Path) -> None:
    """Make a folder final: sync all that is in it, then one rename."""
    sync_all(partial)
    partial.rename(final)
    sync(final.parent)
