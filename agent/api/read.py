"""A curriculum as Python gives it: a file, a shipped name, a dict, or one that is checked already."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.file.document import Document, paths_of
from perdure.curriculum.file.faults import Place
from perdure.curriculum.file.overrides import path_in
from perdure.curriculum.file.reader import check_document, find_file, open_document
from perdure.curriculum.schema import Curriculum

CurriculumSource = str | os.PathLike[str] | Mapping[str, Any] | Curriculum


def read_source(source: CurriculumSource, overrides: Mapping[str, Any]) -> tuple[Curriculum, str]:
    """The curriculum, checked, and a name for its run: that of its file, else `run`.

    Local paths are those beside the file; of a dict, and in `overrides`, those in the current folder.

    Raises:
        CurriculumError: one line a fault.
        ConfigError: a value that no file could hold.
    """
    name = "run"
    if isinstance(source, str | os.PathLike):
        file = find_file(os.fspath(source))
        document, name = open_document(file)[0], file.stem
    else:
        data = source.model_dump(mode="json", exclude_unset=True) if isinstance(source, Curriculum) else source
        document = _document(_plain(data, "the curriculum"))
    for written, value in overrides.items():
        place = Place(f"overrides[{written!r}]")
        document.put(path_in(document, written, place), _plain(value, str(place)), place)
    return check_document(document), name


def _document(data: Any) -> Document:
    """Plain values that are in no file."""
    place = Place("the curriculum")
    places = dict.fromkeys(paths_of(data), place)
    return Document(data, dict(places), dict(places))


def _plain(value: Any, where: str) -> Any:
    """A value as YAML would give it: tuples as lists, paths as text, own functions as `module:name`."""
    try:
        return json.loads(json.dumps(value, default=_written))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}; give maps, lists, texts and numbers, as a file would hold") from error


def _written(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    if callable(value):
        return dotted_path(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def dotted_path(function: Callable[..., Any]) -> str:
    """`module:name` of a function or class of a user's own.

    Raises:
        TypeError: no file has it under that name, so that a resumed run and a reward's process could not find it.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module in (None, "__main__", "builtins") or not name.isidentifier():
        raise TypeError(
            f"{name or function!r} is defined in no module, and a resumed run has to find it: write it into a file, "
            "such as mine.py (in a notebook by %%writefile mine.py), and name it 'mine:function'"
        )
    return f"{module}:{name}"
