"""The names of lm-eval's tasks, groups and tags, read from its files without importing it or building a task."""

import os
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from perdure.curriculum.evaluation import Benchmark
from perdure.curriculum.messages import did_you_mean

BUILTIN = Path(__file__).parents[1] / "shipped"
_DEFINES = re.compile(rb"^(task|group|tag):[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)
_LISTED = re.compile(rb"^\s*-\s*[\"']?([\w.:+-]+)[\"']?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class TaskNames:
    """The first file that defines each name of a folder, and all names that occur in a list there, as tags do."""

    paths: dict[str, Path]
    listed: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.paths or name in self.listed


def names_in(root: Path) -> TaskNames:
    """The names in the YAML files of a folder and those below."""
    paths: dict[str, Path] = {}
    listed: set[str] = set()
    found = (f"{folder}/{file}" for folder, _, files in os.walk(root) for file in files if file.endswith(".yaml"))
    for path in sorted(found):  # as text: making 14,000 paths takes longer than finding the files
        try:
            text = Path(path).read_bytes()
        except OSError:  # lm-eval says so, if the task is in it
            continue
        for _, name in _DEFINES.findall(text):
            paths.setdefault(name.decode(errors="replace"), Path(path))
        listed.update(name.decode() for name in _LISTED.findall(text))
    return TaskNames(paths, frozenset(listed))


@cache
def shipped_names() -> TaskNames:
    """The names that the installed lm-eval has: 14,000 files, which take a second."""
    spec = find_spec("lm_eval")
    assert spec is not None and spec.submodule_search_locations
    return names_in(Path(spec.submodule_search_locations[0]) / "tasks")


def unknown_task(benchmark: Benchmark) -> str | None:
    """The fault of a benchmark whose name neither its `include_path` nor lm-eval has; `None` where one may have it."""
    own = _own(benchmark)
    if benchmark.tasks in own or benchmark.tasks in shipped_names():
        return None
    return unknown_message(benchmark, [*own.paths, *shipped_names().paths])


def path_of(benchmark: Benchmark) -> Path | None:
    """The file that defines a benchmark's task; `None` for a tag."""
    return _own(benchmark).paths.get(benchmark.tasks) or shipped_names().paths.get(benchmark.tasks)


def _own(benchmark: Benchmark) -> TaskNames:
    """The names in the benchmark's `include_path`."""
    folder = BUILTIN if benchmark.include_path == "builtin" else benchmark.include_path
    return TaskNames({}, frozenset()) if folder is None else names_in(Path(folder))


def unknown_message(benchmark: Benchmark, known: list[str]) -> str:
    """The message about a name that is not among those known."""
    where = f" in {benchmark.include_path} or" if benchmark.include_path else ""
    hint = did_you_mean(benchmark.tasks, known) or "; `lm-eval ls tasks` lists the names that it knows"
    return f"benchmark {benchmark.tasks!r}: no such task{where} among those of lm-eval{hint}"
