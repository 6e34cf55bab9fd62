"""The user's own code that a curriculum names: looked at without importing it, or imported and checked."""

import os.path
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from perdure.budget.errors import ConfigError
from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.import_path import (
    find_entry_point,
    hash_as_executed,
    import_registering,
    load_function,
    search_code_in,
)
from perdure.curriculum.messages import Path
from perdure.curriculum.own_code import CodeKind, folders_of, is_shipped, locate
from perdure.curriculum.schema import Curriculum


def own_code(section: BaseModel, path: Path = ()) -> Iterator[tuple[Path, CodeKind, str]]:
    """Every `module:name` or entry point that a section names, with its place. Defaults name none."""
    for name in section.model_fields_set:
        value, here = getattr(section, name), (*path, name)
        kind = next((one for one in type(section).model_fields[name].metadata if isinstance(one, CodeKind)), None)
        if kind is not None:
            yield from ((at, kind, named) for at, named in _named(here, kind, value))
        for at, inner in _sections(value):
            yield from own_code(inner, (*here, *at))


def _named(path: Path, kind: CodeKind, value: Any) -> Iterator[tuple[Path, str]]:
    """The names in a value, one or a list. Without a colon only an entry point is one."""
    entries = [((*path, index), one) for index, one in enumerate(value)] if isinstance(value, list) else [(path, value)]
    return ((at, one) for at, one in entries if isinstance(one, str) and (":" in one or kind.group is not None))


def _sections(value: Any) -> Iterator[tuple[Path, BaseModel]]:
    entries = [((index,), one) for index, one in enumerate(value)] if isinstance(value, list) else [((), value)]
    return ((at, one) for at, one in entries if isinstance(one, BaseModel))


def unseen_code(curriculum: Curriculum) -> list[str]:
    """The names of code that only an import would check: all but perdure's own."""
    return list(dict.fromkeys(named for _, _, named in own_code(curriculum) if not is_shipped(named)))


def code_hashes(curriculum: Curriculum) -> dict[str, str]:
    """SHA-256 of the file of each `module:name` of the user's own, by name; what that file imports is not looked at.

    Raises:
        ConfigError: a module was executed here, and its file was edited since.
    """
    folders, named = (
        folders_of(curriculum.code_dir),
        dict.fromkeys((one, kind) for _, kind, one in own_code(curriculum)),
    )
    return {
        one: hash_as_executed(locate(one, kind, folders), f"{kind.what} {one!r}")
        for one, kind in named
        if ":" in one and not is_shipped(one)
    }


def with_code_dir(document: Document, curriculum: Curriculum) -> Curriculum:
    """The curriculum with the folder of its file, where it names a module and no folder, so that a resume knows it."""
    if curriculum.code_dir is not None or not any(":" in named for named in unseen_code(curriculum)):
        return curriculum
    return curriculum.model_copy(
        update={"code_dir": os.path.normpath(FilePath(document.place(()).source).absolute().parent)}
    )


def code_faults(document: Document, curriculum: Curriculum) -> list[Fault]:
    """Names of code that is not there, or is not the user's own. Nothing is imported."""
    folders = folders_of(curriculum.code_dir)

    def look(named: str, kind: CodeKind) -> Any:
        return locate(named, kind, folders) if ":" in named else find_entry_point(named, kind)

    return _faults(document, curriculum, look)


def import_faults(document: Document, curriculum: Curriculum) -> list[Fault]:
    """Names of code that cannot be imported, or has another signature than its kind. Executes the modules."""
    search_code_in(curriculum.code_dir)

    def look(named: str, kind: CodeKind) -> Any:
        return import_registering(named, kind) if kind.registers else load_function(named, kind)

    return _faults(document, curriculum, look)


def _faults(document: Document, curriculum: Curriculum, look: Callable[[str, CodeKind], Any]) -> list[Fault]:
    found = []
    for path, kind, named in own_code(curriculum):
        try:
            look(named, kind)
        except ConfigError as error:
            found.append(Fault(document.place(path), path, str(error)))
    return found
