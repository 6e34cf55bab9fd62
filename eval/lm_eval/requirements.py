"""Needs of a task of lm-eval, read from its files without importing any: packages, nltk's data, a sandbox."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_FUNCTION = re.compile(rb"!function\s+([\w.]+)\.\w+")
_INCLUDE = re.compile(rb"^[\"']?include[\"']?:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_DATASET = re.compile(rb"^[\"']?dataset_path[\"']?:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_UNSAFE = re.compile(rb"^unsafe_code:\s*true\b", re.MULTILINE | re.IGNORECASE)
_PUNKT = "punkt_tab"
IFEVAL = frozenset({"langdetect", "immutabledict", "nltk"})
"""The packages of the extra `ifeval`."""


@dataclass(frozen=True)
class TaskNeeds:
    """What a task needs beside lm-eval.

    Attributes:
        packages: modules that its code imports.
        punkt: it splits sentences with nltk's data `punkt_tab`.
        runs_code: it executes what the model writes.
        datasets: what it reads, by hub id.
    """

    packages: frozenset[str]
    punkt: bool
    runs_code: bool
    datasets: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(sorted(one for one in self.packages if find_spec(one) is None))


def task_needs(path: Path) -> TaskNeeds:
    """The needs of the task that a YAML file defines, by it, the files that it includes, and the code they name."""
    packages: set[str] = set()
    punkt = runs_code = False
    datasets: list[str] = []
    seen: set[Path] = set()
    for file in _with_includes(path, set()):
        text = file.read_bytes()
        datasets = datasets or [one.decode() for one in _DATASET.findall(text)]  # the first file has the last word
        runs_code = runs_code or _UNSAFE.search(text) is not None
        for name in _FUNCTION.findall(text):
            module = file.parent / (name.decode().replace(".", "/") + ".py")
            for source in _modules(module, seen):
                packages |= _imported(source)
                punkt = punkt or _PUNKT in source
    return TaskNeeds(frozenset(packages), punkt, runs_code, tuple(datasets))


def missing_packages(name: str, needs: TaskNeeds) -> str | None:
    """The message about packages that are not installed; `None` if all are."""
    missing = needs.missing
    if not missing:
        return None
    what = "'perdure[ifeval]'" if set(missing) <= IFEVAL else " ".join(missing)
    listed = " and ".join(map(repr, missing))
    return f"benchmark {name!r} needs {listed}, not installed: pip install {what}"


def runs_code(name: str) -> str:
    """The message about a task that executes what the model writes."""
    return (
        f"benchmark {name!r} executes code that the model writes, without a sandbox. Ask its data as a benchmark of "
        "`type: task` with the reward `code_tests`, which runs code in a sandbox (docs/cookbook.md, 17), or run it "
        "with lm-eval in a sandbox on the saved stages"
    )


def _with_includes(path: Path, seen: set[Path]) -> Iterator[Path]:
    path = path.resolve()
    if path in seen or not path.is_file():
        return
    seen.add(path)
    yield path
    for name in _INCLUDE.findall(path.read_bytes()):
        yield from _with_includes(path.parent / name.decode(), seen)


def _modules(path: Path, seen: set[Path]) -> Iterator[str]:
    """The source of a module, and of lm-eval's own task modules that it imports."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    source = path.read_text(encoding="utf-8", errors="replace")
    yield source
    for line in _tree(source).body:
        if isinstance(line, ast.ImportFrom) and line.module and line.module.startswith("lm_eval.tasks"):
            folder = _lm_eval().joinpath(*line.module.split(".")[1:])
            yield from _modules(folder.with_suffix(".py"), seen)
            for one in line.names:
                yield from _modules(folder / f"{one.name}.py", seen)


def _imported(source: str) -> set[str]:
    """The packages that a module imports at its top, Python's own apart."""
    names: set[str] = set()
    for line in _tree(source).body:
        if isinstance(line, ast.Import):
            names |= {one.name.partition(".")[0] for one in line.names}
        elif isinstance(line, ast.ImportFrom) and line.module and not line.level:
            names.add(line.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"lm_eval"}


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:  # lm-eval says so
        return ast.Module([], [])


def _lm_eval() -> Path:
    spec = find_spec("lm_eval")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
