"""Imports a user's own function or class, `module:name`, and checks that it has the documented signature."""

import inspect
import sys
import traceback
from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_type_hints

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import did_you_mean, shorten
from perdure.curriculum.own_code import CodeKind, Located, folders_of, locate

_folders: list[Path] = []
_added: list[str] = []
"""The folders of the user's own modules, and those of them that `search_code_in` put on `sys.path`."""
_imports: dict[str, tuple[object, str]] = {}
"""By module: its spec, another one after `importlib.reload`, and the SHA-256 of its file when it was first used."""
_places: dict[tuple[str, CodeKind, tuple[Path, ...]], Located] = {}
"""What was found, by path, kind and folders: it stays where it is as long as its module does."""


def search_code_in(code_dir: str | None) -> None:
    """Search a curriculum's folder for modules, then the current one; both last, so that they hide no package."""
    sys.path[:] = [entry for entry in sys.path if entry not in _added]
    _folders[:] = folders_of(code_dir)
    _added[:] = [folder for folder in dict.fromkeys(map(str, _folders)) if folder not in sys.path]
    sys.path.extend(_added)


def load_function(path: str, kind: CodeKind) -> Callable[..., Any]:
    """The function or class at `module:name`, or of an entry point where the kind has a group of them.

    Raises:
        ConfigError: nothing there, not the user's own, failing while it is imported, or of another signature.
    """
    shown = f"{kind.what} {shorten(path)!r}"
    found = _imported(path, kind, shown) if ":" in path else _entry_point(path, kind, shown)
    reason = signature_fault(found, kind)
    if reason is not None:
        raise ConfigError(f"{shown} {reason}; it must be {kind.signature}")
    return found  # type: ignore[no-any-return]


def import_registering(path: str, kind: CodeKind) -> None:
    """Import the module of `module:name`, which registers the name, and look it up.

    Raises:
        ConfigError: nothing there, not the user's own, failing while it is imported, or not registering the name.
    """
    _import(_located(path, kind), f"{kind.what} {shorten(path)!r}")
    if kind.registers is not None:
        kind.registers(path)


def find_entry_point(name: str, kind: CodeKind) -> Any:
    """The entry point of a name, not loaded.

    Raises:
        ConfigError: no installed package has it.
    """
    found = {point.name: point for point in entry_points(group=kind.group or "")}
    if name not in found:
        known = did_you_mean(name, list(found)) or (f"; installed are {', '.join(sorted(found))}" if found else "")
        raise ConfigError(
            f"{kind.what} {shorten(name)!r} is no entry point of the group {kind.group!r}{known}. Write `module:name`, "
            "or install the package that provides it"
        )
    return found[name]


def _located(path: str, kind: CodeKind) -> Located:
    """As `locate`; without the file, once its module is imported, so that a run goes on while it is edited."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    folders = _folders or folders_of(None)
    key = path, kind, tuple(folders)
    known = _places.get(key)
    if known is None or not _is_noted(known, sys.modules.get(known.module)):
        known = _places[key] = locate(path, kind, folders)
    return known


def _imported(path: str, kind: CodeKind, shown: str) -> Any:
    place = _located(path, kind)
    module = _import(place, shown)
    if not hasattr(module, place.name):
        hash_as_executed(place, shown)  # the file has the name
    found = getattr(module, place.name, None)
    if not callable(found):
        raise ConfigError(f"{shown} is not a function but {type(found).__name__}")
    if getattr(found, "__module__", None) != place.module:
        raise ConfigError(f"{shown} is not defined in {place.file}; write a function there that calls it")
    return found


def _import(place: Located, shown: str) -> Any:
    try:
        module = import_module(place.module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{shown}: importing {place.module!r} failed: {show_error(error)}") from error
    if Path(module.__file__ or "").resolve() != place.file.resolve():
        raise ConfigError(f"{shown}: another module {place.module!r} is loaded already, {module.__file__}; rename one")
    _note(place, module)
    return module


def _is_noted(place: Located, module: Any) -> bool:
    """True if the hash of the file is kept as of the module that is there, and not of one before a reload."""
    known = _imports.get(place.module)
    return module is not None and known is not None and known[0] is module.__spec__


def _note(place: Located, module: Any) -> None:
    """Keep the hash of a module's file when the module is first used, and first used after a reload."""
    if not _is_noted(place, module):
        _imports[place.module] = (module.__spec__, sha256(place.file.read_bytes()).hexdigest())


def hash_as_executed(place: Located, shown: str) -> str:
    """SHA-256 of the file of a module, which must be as it was when the module was executed here, if it was.

    It is asked when a run is set up: a run that goes on has the code that it began with, whatever is edited meanwhile.

    Raises:
        ConfigError: it was edited since, as in a notebook.
    """
    stamp, module = sha256(place.file.read_bytes()).hexdigest(), sys.modules.get(place.module)
    if module is None or Path(module.__file__ or "").resolve() != place.file.resolve():
        return stamp
    _note(place, module)
    if _imports[place.module][1] != stamp:
        raise ConfigError(
            f"{shown}: {place.file} was edited since it was imported here, and what would run is the code of before; "
            "start Python again (in a notebook: restart the kernel)"
        )
    return stamp


def _entry_point(name: str, kind: CodeKind, shown: str) -> Any:
    point = find_entry_point(name, kind)
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{shown}: the entry point {point.value!r} failed: {show_error(error)}") from error
    if not callable(found):
        raise ConfigError(f"{shown} is not a function but {type(found).__name__}")
    return found


def signature_fault(found: Callable[..., Any], kind: CodeKind) -> str | None:
    """The reason why a function or class has not the signature of its kind; `None` if it has."""
    if inspect.isclass(found):
        if not kind.classes:
            return "is a class, not a function"
        if kind.makes == "Strategy":
            return None if callable(getattr(found, "choose", None)) else "has no method `choose(situation)`"
    try:
        signature = inspect.signature(found)
        signature.bind_partial(*[None] * kind.positional, **dict.fromkeys(kind.keywords))
    except (TypeError, ValueError) as error:
        return f"has another signature ({error})"
    named = bool(kind.keywords) and set(kind.keywords) <= set(signature.parameters)
    if kind.makes is None or named or _says_it_makes(found, kind.makes):
        return None
    return f"does not say that it returns a {kind.makes} (`-> {kind.makes}`)"


def _says_it_makes(found: Callable[..., Any], makes: str) -> bool:
    written = getattr(found, "__annotations__", {}).get("return")
    try:
        said = get_type_hints(found).get("return")
    except Exception:  # a name that only type checkers import
        said = written
    if isinstance(said, str):
        return said.rpartition(".")[2] == makes
    strategy = makes == "Strategy" and callable(getattr(said, "choose", None))
    return strategy or getattr(said, "__name__", None) == makes


def show_error(error: BaseException) -> str:
    """`ValueError: message (file.py, line 3)`: an error of a user's own code, and its place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
