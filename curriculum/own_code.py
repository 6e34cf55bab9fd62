"""Functions and classes of a user's own, as a file names them: `module:name`. They are found here and not imported.

Accepted: what a module of the user's own defines, or takes over from another one of them. Refused: the standard
library, other installed packages, and whatever is merely imported from these, since a file could then call any function
with arguments of its choice.
"""

import ast
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SOURCE_SUFFIXES
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import did_you_mean, shorten

RENAMED_MODULES = {"perdure.curriculum.skills": "perdure.curriculum.worlds.language.skills"}
"""Modules that curricula may name as an earlier version did."""

SHIPPED_MODULES = (
    "perdure.curriculum.worlds.language.skills",
    "perdure.curriculum.worlds.language.skills.skills",
    "perdure.agent.environment.action_strategy",
)
"""perdure's own modules with tasks and strategies that a file may name."""

MAX_SOURCE_BYTES = 2**20
"""Longer modules are data, not code that a person wrote."""

MAX_IMPORTS_FOLLOWED = 8


@dataclass(frozen=True)
class CodeKind:
    """A use of a user's own code.

    Attributes:
        what: its name in messages.
        signature: the documented one.
        keywords: the arguments that perdure gives by name.
        positional: the number that it gives by place.
        makes: the type that a function returns; it must say so where its parameters do not tell it from any other.
        classes: a class does as well.
        group: its entry-point group.
        libraries: packages whose functions have the same signature by design.
        builds_on: a package; installed ones that require it may be named as well.
        registers: importing the module registers the name, which it need not define; this function looks the whole up
            and raises ConfigError.
    """

    what: str
    signature: str
    keywords: tuple[str, ...] = ()
    positional: int = 0
    makes: str | None = None
    classes: bool = False
    group: str | None = None
    libraries: tuple[str, ...] = ()
    builds_on: str | None = None
    registers: Callable[[str], None] | None = None


TASK = CodeKind(
    "the task",
    "function(*, seed, train, heldout, **args) -> Task",
    keywords=("seed", "train", "heldout"),
    makes="Task",
    group="perdure.tasks",
)
REWARD = CodeKind(
    "the reward",
    "function(prompts, completions, **columns) -> list[float]",
    keywords=("prompts", "completions", "completion_ids", "answer", "trainer_state", "log_extra", "log_metric"),
    libraries=("trl",),
)
DEMONSTRATIONS = CodeKind("`demonstrations`", "function(item) -> str", positional=1)
STRATEGY = CodeKind(
    "the strategy",
    "a class with `choose(self, situation)`, or function(**args) -> Strategy",
    makes="Strategy",
    classes=True,
    group="perdure.strategies",
)


@dataclass(frozen=True)
class Located:
    """A name in the module that defines it."""

    module: str
    name: str
    file: Path


def locate(path: str, kind: CodeKind, folders: Sequence[Path]) -> Located:
    """The definition of `module:name`; `folders` are searched after the installed packages, in this order.

    No code is executed: files are found as `import` finds them, and parsed.

    Raises:
        ConfigError: no such module or name, or one that is not the user's own.
    """
    module, _, name = path.partition(":")
    shown = f"{kind.what} {shorten(path)!r}"
    for _ in range(MAX_IMPORTS_FOLLOWED):
        file = _file(module, kind, [*sys.path, *map(str, folders)], shown, folders)
        if kind.registers:
            return Located(module, name, file)
        own, imported = _names_in(file, shown)
        if name in own:
            return Located(module, name, file)
        if name not in imported:
            known = [word for word in (*own, *imported) if not word.startswith("_")]
            raise ConfigError(f"{shown}: module {module!r} has no {shorten(name)!r}{did_you_mean(name, known)}")
        source = imported[name]
        if source.name is None:
            raise ConfigError(f"{shown} is a module, not a function")
        module, name = source.absolute(module, is_package=file.stem == "__init__"), source.name
    raise ConfigError(f"{shown}: the imports of {name!r} lead through too many modules; name the one that defines it")


def is_shipped(path: str) -> bool:
    """True if a path names one of perdure's own modules."""
    module = path.partition(":")[0]
    return RENAMED_MODULES.get(module, module) in SHIPPED_MODULES


def folders_of(code_dir: str | None) -> list[Path]:
    """The folders of a user's own modules: that of the curriculum, if it is known, and the current one."""
    return [*([Path(code_dir)] if code_dir is not None else []), Path.cwd()]


def _file(module: str, kind: CodeKind, search: Sequence[str], shown: str, folders: Sequence[Path]) -> Path:
    module = RENAMED_MODULES.get(module, module)
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        raise ConfigError(
            f"{shown}: {module!r} is a module of Python's standard library; a file may name only modules of your own"
        )
    found = _find(module, search) or _loaded(module)
    if found is None:
        raise ConfigError(
            f"{shown}: there is no module {shorten(module)!r}; it must be installed or lie in "
            f"{' or '.join(dict.fromkeys(str(folder) for folder in folders))}"
            + ("" if len(folders) > 1 else "; start perdure in the folder where it lies")
        )
    if found.suffix not in SOURCE_SUFFIXES:
        raise ConfigError(f"{shown}: {found} is not Python source; a file may name only modules of your own")
    owner = _owner(module, found, kind)
    if owner is not None:
        raise ConfigError(
            f"{shown}: {module!r} is of {owner}, and a file may name only modules of your own; write a function there "
            f"that calls it, with the signature {kind.signature}"
        )
    return found


def _find(module: str, search: Sequence[str]) -> Path | None:
    """The file of a module, by the finders of `import`; the packages around it are not imported."""
    where, parts = list(search), module.split(".")
    for depth, part in enumerate(parts, 1):
        spec = _spec(".".join(parts[:depth]), where)
        if depth == len(parts):
            return Path(spec.origin) if spec is not None and spec.origin and spec.has_location else None
        if spec is not None:
            where = list(spec.submodule_search_locations or ())
        else:  # a folder without `__init__.py` in another one
            where = [str(folder) for each in where if (folder := Path(each, part)).is_dir()]
    return None


def _loaded(module: str) -> Path | None:
    """The file of a module that is loaded already, as the caller's own may be."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file) if file and module != "__main__" else None


def _spec(name: str, where: Sequence[str]) -> Any:
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, where)
        except (ImportError, KeyError, ValueError, OSError):
            continue
        if spec is not None:
            return spec
    return None


def _owner(module: str, file: Path, kind: CodeKind) -> str | None:
    """The owner of a module that is not the user's; an installed package that builds on perdure is the user's."""
    top = module.partition(".")[0]
    if top == "perdure":
        return None if module in SHIPPED_MODULES else "perdure"
    if not {"site-packages", "dist-packages"} & set(file.parts):
        return "Python's standard library" if file.is_relative_to(sysconfig.get_path("stdlib")) else None
    if top in kind.libraries or _builds_on(top, "perdure") or (kind.builds_on and _builds_on(top, kind.builds_on)):
        return None
    return f"the installed package {top!r}"


@cache
def _builds_on(top: str, package: str) -> bool:
    """True if a distribution with this top-level package requires the other package, or has entry points for it."""
    for name in packages_distributions().get(top, ()):
        found = distribution(name)
        needs = (line.replace("-", "_").lower() for line in found.requires or ())
        if any(line.startswith(package) for line in needs):
            return True
        if any(point.group.startswith(f"{package}.") for point in found.entry_points):
            return True
    return False


def _names_in(file: Path, shown: str) -> tuple[set[str], dict[str, "_Import"]]:
    """The names that a module defines itself, and those that it imports."""
    try:
        state = file.stat()
        if state.st_size > MAX_SOURCE_BYTES:
            raise ConfigError(f"{shown}: {file} is larger than 1 MiB")
        return _read_names(file, state.st_mtime_ns)
    except OSError as error:
        raise ConfigError(f"{shown}: {file} cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise ConfigError(f"{shown}: {file}:{error.lineno or 1}: no valid Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ConfigError(f"{shown}: {file}: no valid Python") from None


@cache
def _read_names(file: Path, changed: int) -> tuple[set[str], dict[str, "_Import"]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _names(ast.parse(file.read_bytes(), str(file)))


@dataclass(frozen=True)
class _Import:
    """`from MODULE import NAME`, with LEVEL dots; without a name `import MODULE`."""

    module: str
    level: int
    name: str | None

    def absolute(self, here: str, *, is_package: bool) -> str:
        if not self.level:
            return self.module
        base = here.split(".")
        base = base[: len(base) - self.level + is_package]
        return ".".join([*base, *([self.module] if self.module else [])])


def _names(tree: ast.Module) -> tuple[set[str], dict[str, _Import]]:
    own: set[str] = set()
    imported: dict[str, _Import] = {}
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            own |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            imported |= {one.asname or one.name: _Import(node.module or "", node.level, one.name) for one in node.names}
        elif isinstance(node, ast.Import):
            imported |= {one.asname or one.name.partition(".")[0]: _Import(one.name, 0, None) for one in node.names}
    return own, imported


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under `if`, `try` and `with` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            inner = [*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
            inner += [line for one in getattr(node, "handlers", []) for line in one.body]
            yield from _statements(inner)
