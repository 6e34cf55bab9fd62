"""Files and folders that a curriculum names: found beside the file, and refused early where they are missing."""

import os.path
import re
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault, Path
from perdure.curriculum.worlds.language.sources.prompts import BUILTIN, SHIPPED

FILE_SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
PACKAGED = ("json", "csv", "parquet", "text", "arrow")
"""Readers of `datasets` that stand in place of a path, with the files in `data_files`."""


class NotThereError(Exception):
    """A local file or folder that is not there; the message says so."""


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
    yield ("model", "model_name_or_path"), _model
    yield ("model", "data"), _images
    yield ("budget", "generic"), _generic
    yield ("budget", "law"), _law
    for index, benchmark in _entries(document, "benchmarks"):
        if benchmark.get("include_path") != "builtin":
            yield ("benchmarks", index, "include_path"), _folder
    for here in [(key, index, "task") for key in ("stages", "benchmarks") for index, _ in _entries(document, key)]:
        yield from _task(document, here)


def _task(document: Document, here: Path) -> Iterator[tuple[Path, Callable[[str, FilePath], str]]]:
    task = document.get(here)
    kind = task.get("type") if isinstance(task, dict) else None
    if kind == "images":
        yield (*here, "data"), _images
    if kind == "dataset":
        files = task.get("data_files")
        for at in [(*here, "data_files", i) for i in range(len(files))] if isinstance(files, list) else []:
            yield at, _data_file(document, here)
        yield (*here, "data_files"), _data_file(document, here)
        yield (*here, "path"), _packaged if files is not None and task.get("path") in PACKAGED else _hub_or_local


def _entries(document: Document, key: str) -> list[tuple[int, dict[str, Any]]]:
    entries = document.get((key,))
    return [(i, one) for i, one in enumerate(entries) if isinstance(one, dict)] if isinstance(entries, list) else []


def _write(document: Document, path: Path, value: str) -> None:
    document.get(path[:-1])[path[-1]] = value


def _model(value: str, base: FilePath) -> str:
    return value if value.startswith("builtin:") else _hub_or_local(value, base)


def _images(value: str, base: FilePath) -> str:
    return value if value in ("shipped", "full") else _folder(value, base)


def _law(value: str, base: FilePath) -> str:
    return value if value.startswith("builtin:") else _file(value, base)


def _generic(value: str, base: FilePath) -> str:
    if not value.startswith(SHIPPED):
        return _file(value, base)
    if value not in BUILTIN:
        raise NotThereError(f"no such prompts: {value}; shipped with perdure: {', '.join(BUILTIN)}")
    return value


def _packaged(value: str, base: FilePath) -> str:
    return value


def _hub_or_local(value: str, base: FilePath) -> str:
    if _is_url(value):
        return value
    found = _absolute(value, base)
    if found.exists():
        return str(found)
    if _is_clearly_local(value) or value.endswith(FILE_SUFFIXES):
        raise NotThereError(f"no such file or folder: {found}")
    return value


def _file(value: str, base: FilePath) -> str:
    found = _absolute(value, base)
    if not found.is_file():
        raise NotThereError(f"{'a folder, not a file' if found.is_dir() else 'no such file'}: {found}")
    return str(found)


def _folder(value: str, base: FilePath) -> str:
    found = _absolute(value, base)
    if not found.is_dir():
        raise NotThereError(f"{'a file, not a folder' if found.is_file() else 'no such folder'}: {found}")
    return str(found)


def _data_file(document: Document, task: Path) -> Callable[[str, FilePath], str]:
    """`data_files` lie inside the dataset's folder or repository, or beside the curriculum for packaged readers."""
    source = document.get((*task, "path"))

    def resolve(value: str, base: FilePath) -> str:
        if _is_url(value) or not (_is_clearly_local(value) or source in PACKAGED):
            return value
        found = _absolute(value, base)
        if not _matches(found):
            raise NotThereError(f"no such file: {found}")
        return str(found)

    return resolve


def _matches(found: FilePath) -> bool:
    if not re.search(r"[*?\[]", str(found)):
        return found.exists()
    return any(FilePath(found.anchor).glob(str(found.relative_to(found.anchor))))


def _is_url(value: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*://", value) is not None


def _is_clearly_local(value: str) -> bool:
    return value in (".", "..") or value.startswith(("./", "../", "~", "/"))


def _absolute(value: str, base: FilePath) -> FilePath:
    """Absolute, without `.` and `..`; links stay as they are written."""
    try:
        expanded = FilePath(value).expanduser()
    except RuntimeError:
        raise NotThereError(f"no such user: {value}") from None
    return FilePath(os.path.normpath(base.absolute() / expanded))
