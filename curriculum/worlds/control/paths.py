"""Local paths of the control world's sections: recorded demonstrations, and a saved policy."""

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.resolve import NotThereError, absolute, hub_or_local, local_folder
from perdure.curriculum.messages import Path

Resolve = Callable[[str, FilePath], str]


def local_paths(document: Document, tasks: list[Path]) -> Iterator[tuple[Path, Resolve]]:
    """The paths of values that may be local, and what makes each absolute."""
    yield ("model", "path"), local_folder
    for here in (*tasks, *_known(document)):
        kind = document.get((*here, "demonstrations", "type"))
        yield (*here, "demonstrations", "path"), hub_or_local if kind == "minari" else _recorded


def _known(document: Document) -> Iterator[Path]:
    """The tasks that the base imitates."""
    known: Any = document.get(("model", "pretrain", "tasks"))
    for index in range(len(known) if isinstance(known, list) else 0):
        yield "model", "pretrain", "tasks", index, "task"


def _recorded(value: str, base: FilePath) -> str:
    found = absolute(value, base)
    if not found.exists():
        raise NotThereError(f"no such file or folder: {found}")
    return str(found)
