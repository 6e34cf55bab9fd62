"""Local paths of the language world's sections: the model, datasets and their files."""

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.resolve import (
    NotThereError,
    absolute,
    hub_or_local,
    is_clearly_local,
    is_url,
    local_file,
    matches,
)
from perdure.curriculum.messages import Path
from perdure.curriculum.worlds.hub import READERS
from perdure.curriculum.worlds.language.sources.prompts import BUILTIN_PREFIX, SHIPPED_PROMPTS

Resolve = Callable[[str, FilePath], str]


def local_paths(document: Document, tasks: list[Path]) -> Iterator[tuple[Path, Resolve]]:
    """The paths of values that may be local, and what makes each absolute."""
    yield ("model", "model_name_or_path"), _model
    yield ("budget", "generic"), _generic
    for here in tasks:
        task: Any = document.get(here)
        if task.get("type") in ("dataset", "tool_alpaca"):
            yield from _data(document, here)
        if task.get("type") == "environment":
            yield (*here, "data"), hub_or_local
        if isinstance(task.get("heldout"), dict):
            yield from _data(document, (*here, "heldout"))


def _data(document: Document, here: Path) -> Iterator[tuple[Path, Resolve]]:
    section: Any = document.get(here)
    files = section.get("data_files")
    for at in [(*here, "data_files", i) for i in range(len(files))] if isinstance(files, list) else []:
        yield at, _data_file(document, here)
    yield (*here, "data_files"), _data_file(document, here)
    yield (*here, "path"), _packaged if files is not None and section.get("path") in READERS else hub_or_local


def _model(value: str, base: FilePath) -> str:
    return value if value.startswith("builtin:") else hub_or_local(value, base)


def _generic(value: str, base: FilePath) -> str:
    if not value.startswith(BUILTIN_PREFIX):
        return local_file(value, base)
    if value not in SHIPPED_PROMPTS:
        raise NotThereError(f"no such prompts: {value}; shipped with perdure: {', '.join(SHIPPED_PROMPTS)}")
    return value


def _packaged(value: str, base: FilePath) -> str:
    return value


def _data_file(document: Document, task: Path) -> Callable[[str, FilePath], str]:
    """`data_files` lie inside the dataset's folder or repository, or beside the curriculum for packaged readers."""
    source = document.get((*task, "path"))

    def resolve(value: str, base: FilePath) -> str:
        if is_url(value) or not (is_clearly_local(value) or source in READERS):
            return value
        found = absolute(value, base)
        if not matches(found):
            raise NotThereError(f"no such file: {found}")
        return str(found)

    return resolve
