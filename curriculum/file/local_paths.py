"""Files and folders that a curriculum names: resolved beside the file, and refused early if missing."""

import os.path
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.file.resolve import NotThereError, local_file, local_folder
from perdure.curriculum.file.world_faults import world_of
from perdure.curriculum.messages import Path
from perdure.curriculum.worlds.registry import load


def resolve_paths(document: Document) -> list[Fault]:
    """Make the local paths of a curriculum absolute, in place; return those that are missing as faults.

    A path is relative to the folder of the file that it is written in, and in an override to the current one. Hub ids
    stay as they are unless a file or folder of that name exists there.
    """
    faults = []
    for path, resolve in list(_local(document)):
        value = document.get(path)
        if not isinstance(value, str) or not value:
            continue
        place = document.place(path)
        base = FilePath(place.source).parent if place.line is not None else FilePath.cwd()
        try:
            _write(document, path, resolve(value, base))
        except NotThereError as missing:
            faults.append(Fault(place, path, str(missing)))
    return faults


def _local(document: Document) -> Iterator[tuple[Path, Callable[[str, FilePath], str]]]:
    yield ("budget", "law"), _law
    yield ("code_dir",), local_folder
    for index, _ in _entries(document, "tracking"):
        for key in ("dir", "log_dir"):
            yield ("tracking", index, key), _new_folder
    for index, benchmark in _entries(document, "benchmarks"):
        if benchmark.get("include_path") != "builtin":
            yield ("benchmarks", index, "include_path"), local_folder
        yield ("benchmarks", index, "data_path"), local_folder
    entries = [(key, index, "task") for key in ("stages", "benchmarks") for index, _ in _entries(document, key)]
    tasks: list[Path] = [here for here in entries if isinstance(document.get(here), dict)]
    spec = world_of(document)
    if spec is not None and spec.paths is not None:
        yield from load(spec.paths)(document, tasks)


def _entries(document: Document, key: str) -> list[tuple[int, dict[str, Any]]]:
    entries = document.get((key,))
    return [(i, one) for i, one in enumerate(entries) if isinstance(one, dict)] if isinstance(entries, list) else []


def _write(document: Document, path: Path, value: str) -> None:
    document.get(path[:-1])[path[-1]] = value


def _law(value: str, base: FilePath) -> str:
    return value if value.startswith("builtin:") else local_file(value, base)


def _new_folder(value: str, base: FilePath) -> str:
    """A folder that a tracker makes."""
    return os.path.normpath(base.absolute() / FilePath(value).expanduser())
