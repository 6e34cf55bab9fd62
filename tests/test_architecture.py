"""The plan of the code: imports run downwards and in no circle, and only a world imports a world."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("budget", "curriculum", "eval", "agent", "cli")
"""Lowest first."""

WORLDS = {path.name for path in (ROOT / "curriculum/worlds").iterdir() if (path / "spec.py").is_file()}


def files() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def file_of(module: str) -> str | None:
    """The file of `perdure.a.b`; `None` for what is no module of ours."""
    path = "/".join(module.split(".")[1:])
    found = [name for name in (f"{path}.py", f"{path}/__init__.py") if path and (ROOT / name).is_file()]
    return found[0] if module.startswith("perdure.") and found else None


def imported(file: str) -> set[str]:
    """The files that a file imports, also for types alone and inside functions."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {file_of(name.name) for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {file_of(f"{node.module}.{name.name}") or file_of(node.module) for name in node.names}
    return {name for name in found if name is not None}


def world_of(file: str) -> str | None:
    """The world whose folder a file is in."""
    parts = file.split("/")
    return parts[2] if parts[1] == "worlds" and parts[2] in WORLDS else None


def test_the_worlds_are_found() -> None:
    assert {"language", "vision"} <= WORLDS


def test_no_file_imports_in_a_circle() -> None:
    graph = {file: imported(file) - {file} for file in files()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"these import in a circle: {' <- '.join(error.args[1])}") from error


def test_rooms_import_downwards() -> None:
    rank = {room: number for number, room in enumerate(ROOMS)}
    upwards = [
        (file, other)
        for file in files()
        for other in imported(file)
        if rank[other.split("/")[0]] > rank[file.split("/")[0]]
    ]
    assert upwards == []


def test_only_a_world_imports_a_world() -> None:
    found = {
        (file, other)
        for file in files()
        for other in imported(file)
        if world_of(other) is not None and world_of(file) != world_of(other)
    }
    assert found == set()
