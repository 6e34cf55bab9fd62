"""Local paths of the vision world's sections: folders of images."""

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.resolve import local_folder
from perdure.curriculum.messages import Path


def local_paths(document: Document, tasks: list[Path]) -> Iterator[tuple[Path, Callable[[str, FilePath], str]]]:
    """The paths of values that may be local, and what makes each absolute."""
    for here in (("model",), *tasks):
        yield (*here, "data"), _images


def _images(value: str, base: FilePath) -> str:
    return value if value in ("shipped", "full") else local_folder(value, base)
