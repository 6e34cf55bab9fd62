"""Reads a curriculum: file or shipped name, overrides, every fault with its line and column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from perdure.budget.bounds import number_faults
from perdure.curriculum.file.code import code_faults, with_code_dir
from perdure.curriculum.file.document import Document, parse
from perdure.curriculum.file.explain import faults_of
from perdure.curriculum.file.faults import CurriculumError, Fault, Place
from perdure.curriculum.file.laws import law_faults
from perdure.curriculum.file.library import library_of
from perdure.curriculum.file.local_paths import resolve_paths
from perdure.curriculum.file.overrides import apply_override
from perdure.curriculum.file.shipped import shipped
from perdure.curriculum.file.without_effect import without_effect_faults
from perdure.curriculum.file.world_faults import world_faults, world_of
from perdure.curriculum.messages import did_you_mean, show_value
from perdure.curriculum.schema import Curriculum

MAX_FILE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class ReadCurriculum:
    """A curriculum, checked and with absolute paths; the file it came from, its text, and where in it each value is."""

    curriculum: Curriculum
    source: Path
    text: str
    document: Document


def read_curriculum(file_or_name: str | Path, overrides: Sequence[str] = ()) -> ReadCurriculum:
    """Read, override and check a curriculum; nothing heavy is imported and nothing written.

    Args:
        file_or_name: path of a YAML file, or the name of a shipped curriculum; an existing file wins.
        overrides: `path=value` each, applied in order (see `perdure.curriculum.file.overrides`).

    Raises:
        CurriculumError: one line a fault, `file:line:column: path: rule; got value`.
    """
    source = find_file(file_or_name)
    document, text = open_document(source)
    apply_overrides(document, overrides)
    return ReadCurriculum(check_document(document), source, text, document)


def open_document(source: Path, what: str = "curriculum") -> tuple[Document, str]:
    """A file's document, a map of keys, and its text.

    Raises:
        CurriculumError: it cannot be read, is no YAML, or holds no map.
    """
    text = _text(source, what)
    document = parse(text, str(source))
    if not isinstance(document.data, dict):
        got = "the file is empty" if document.data is None else f"got {show_value(document.data)}"
        hint = "; `perdure sample` prints one" if what == "curriculum" else ""
        raise _refusal(document.place(()), f"a {what} is a map of keys; {got}{hint}")
    if what == "curriculum" and "axes" in document.data:
        raise _refusal(
            document.place(("axes",), at_key=True), f"this is a sweep; start it with: perdure sweep {source}"
        )
    if what == "sweep" and "stages" in document.data:
        place = document.place(("stages",), at_key=True)
        raise _refusal(place, f"this is a curriculum; start it with: perdure run {source}")
    return document, text


def check_document(document: Document) -> Curriculum:
    """The curriculum that a document holds; local paths are made absolute in the document itself.

    Raises:
        CurriculumError: one line a fault.
    """
    faults = resolve_paths(document)
    curriculum = None
    try:
        curriculum = Curriculum.model_validate(document.data, strict=True)
    except ValidationError as error:
        faults += faults_of(error, document)
    faults += world_faults(document) + without_effect_faults(document) + law_faults(document)
    library = library_of(world_of(document))
    faults += [] if library is None else library.faults(document, curriculum)
    known = {fault.path for fault in faults}
    for path, rule in number_faults(document.data):
        if path not in known:
            faults.append(Fault(document.place(path), path, f"{rule}; got {show_value(document.get(path))}"))
    if curriculum is not None:
        curriculum = with_code_dir(document, curriculum)
        faults += code_faults(document, curriculum)
    if curriculum is None or faults:
        raise CurriculumError(faults)
    return curriculum


def find_file(file_or_name: str | Path, known: Mapping[str, Path] | None = None, what: str = "curriculum") -> Path:
    """The file of a curriculum, or of another kind of file, whose shipped ones are `known`.

    Raises:
        CurriculumError: neither a file nor a shipped name.
    """
    path, name, known = Path(file_or_name), str(file_or_name), shipped() if known is None else known
    if not name:
        raise _refusal(Place(what), "no file is named")
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise _refusal(Place(name), f"cannot be read: {error.strerror}") from None
    if name in known:
        return known[name]
    if path.is_dir():
        inside = sorted(path.glob("*.yaml"))
        hint = f"; give the file: {inside[0]}" if len(inside) == 1 else "; give the YAML file in it"
        raise _refusal(Place(name), f"a folder, not a file{hint}")
    if path.exists():
        raise _refusal(Place(name), "not a regular file")
    several = "curricula" if what == "curriculum" else f"{what}s"
    hint = did_you_mean(path.stem, known) or f"; shipped {several}: {', '.join(known) or 'none'}"
    raise _refusal(Place(name), f"no such file, and no shipped {what} has this name{hint}")


def _text(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refusal(Place(str(path)), f"not a {what}: larger than 4 MiB")
        data = path.read_bytes()
    except OSError as error:
        raise _refusal(Place(str(path)), f"cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise _refusal(Place(str(path), line, column), "not a text file in UTF-8") from None


def apply_overrides(document: Document, overrides: Sequence[str]) -> None:
    """Set the value of each `path=value`.

    Raises:
        CurriculumError: values that cannot be set.
    """
    faults: list[Fault] = []
    for each in overrides:
        try:
            apply_override(document, each)
        except CurriculumError as error:
            faults += error.faults
    if faults:
        raise CurriculumError(faults)


def _refusal(place: Place, message: str) -> CurriculumError:
    return CurriculumError([Fault(place, (), message)])
