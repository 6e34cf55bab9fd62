"""`--set path=value`: settings from the command line over those of the file."""

import re
from typing import Any

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.document import Document, parse
from perdure.curriculum.file.faults import CurriculumError, Fault, Place
from perdure.curriculum.file.other_words import own_word
from perdure.curriculum.messages import Path, did_you_mean, one_of, shorten, show_value

MAX_PATH = 1000


def apply_override(document: Document, override: str) -> None:
    """Set one value of a document.

    The path goes by keys, list indices and names of stages or benchmarks (`stages.0.method`, `stages[0].method`,
    `stages.even.method`); the value is YAML. Maps on the way are made where they are missing.

    Raises:
        CurriculumError: no `=`, a path unknown to the schema, an index out of range, a value that is not YAML.
    """
    written, equals, value = override.partition("=")
    place = Place(f"--set {shorten(written.strip() or override)}")
    if not equals or not written.strip():
        raise CurriculumError([Fault(place, (), "write it as `--set path=value`, such as `--set seed=1`")])
    if len(written) > MAX_PATH:
        raise CurriculumError([Fault(place, (), f"the path has more than {MAX_PATH} characters")])
    document.put(path_in(document, written, place), parse(value, str(place), positions=False).data, place)


def path_in(document: Document, written: str, place: Place) -> Path:
    """The path in a document that a dotted one stands for.

    Raises:
        CurriculumError: at `place`: a path unknown to the schema, or an index out of range.
    """
    return _resolve(document, re.sub(r"\[(\d+)\]", r".\1", written.strip()).split("."), place)


def _resolve(document: Document, parts: list[str], place: Place) -> Path:
    path: Path = ()
    data: Any = document.data
    while parts:
        if isinstance(data, list):
            index, used = _entry(data, parts, path, place)
            path, parts = (*path, index), parts[used:]
        else:
            path, parts = (*path, _key(data, parts[0], path, document, place)), parts[1:]
        data = document.get(path)
    return path


def _key(data: Any, part: str, path: Path, document: Document, place: Place) -> str:
    here = schema_paths.type_at(path, document.data)
    if data is not None and not isinstance(data, dict):
        raise _refusal(place, path, f"is {show_value(data)}, so there is no {show_value(part)} in it")
    if (
        here is None or schema_paths.type_below(here, part) is None
    ):  # any kind of a union: `type` may be changed as well
        known = schema_paths.keys_of(here, data) if here is not None else ()
        hint = own_word((*path, part), document) or did_you_mean(part, known)
        hint = hint or (f"; known here: {', '.join(known)}" if known else "")
        raise _refusal(place, (*path, part), f"unknown path{hint}")
    return part


def _entry(data: list[Any], parts: list[str], path: Path, place: Place) -> tuple[int, int]:
    """The index that the first parts name, and their number: names may hold dots."""
    names = [_title(entry) for entry in data]
    for used in range(len(parts), 0, -1):
        if ".".join(parts[:used]) in names:
            return names.index(".".join(parts[:used])), used
    if parts[0].isdecimal() and len(parts[0]) < 10 and int(parts[0]) < len(data):
        return int(parts[0]), 1
    if re.fullmatch(r"[+-]?\d+", parts[0]):
        numbers = f"0 to {len(data) - 1}" if data else "none"
        raise _refusal(place, path, f"there is no entry {shorten(parts[0])}; entries here: {numbers}")
    known = [name for name in names if name]
    hint = did_you_mean(parts[0], known) or (f"; it must be a number or {one_of(known)}" if known else "")
    raise _refusal(place, path, f"there is no entry named {show_value(parts[0])}{hint}")


def _title(entry: Any) -> str:
    if not isinstance(entry, dict):
        return ""
    return str(entry.get("name") or entry.get("tasks") or "")


def _refusal(place: Place, path: Path, message: str) -> CurriculumError:
    return CurriculumError([Fault(place, path, message)])
