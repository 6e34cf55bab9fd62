"""The package `perdure`: what is public, that it is imported late, and that type checkers know it."""

import ast
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import perdure
from perdure.agent.api.frames import ANSWERS, DECISIONS, READINGS, SCORES
from perdure.agent.run.steps import FIGURES

ROOT = Path(__file__).parents[3]
STEPS = ("stage", "stage_name", "step", "run_step", "time", *FIGURES)
HEAVY = ("torch", "transformers", "pandas", "numpy", "pydantic", "typer", "importlib.metadata")


def test_importing_perdure_imports_nothing_else() -> None:
    code = (
        "import sys; before = {*sys.modules}; import perdure; "
        "print(sorted(one for one in {*sys.modules} - before if not one.startswith('perdure') and one != 'typing'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed = found.stdout
    assert not [name for name in HEAVY if f"'{name}'" in listed], listed


def test_the_package_is_a_command() -> None:
    found = subprocess.run([sys.executable, "-m", "perdure", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"perdure {version('perdure')}\n"


def test_every_public_name_is_there() -> None:
    assert dir(perdure) == sorted(perdure.__all__)
    assert all(getattr(perdure, name) is not None for name in perdure.__all__)
    assert perdure.__version__ == version("perdure")
    with pytest.raises(AttributeError, match="no attribute 'runn'; it has Item, "):
        perdure.runn  # type: ignore[attr-defined]  # noqa: B018


def test_type_checkers_see_the_names_that_are_imported() -> None:
    """The imports under `TYPE_CHECKING` are those of `_PLACES`, and `__all__` is both with the version."""
    tree = ast.parse(Path(str(perdure.__file__)).read_text())
    found = {
        name.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("perdure.")
        for name in node.names
    }
    assert found == perdure._PLACES
    assert {*found, "__version__"} == {*perdure.__all__}


def test_the_page_lists_what_is_public_and_every_column() -> None:
    page = (ROOT / "docs/python.md").read_text()
    assert set(re.findall(r"`perdure\.(\w+)", page.split("## A run begins")[0])) == {*perdure.__all__}
    listed = dict(re.findall(r"\| `(\w+)\(.*?\)` \|.*\| (.*) \|", page.split("## A run is read")[1]))
    frames = {"scores": SCORES, "readings": READINGS, "decisions": DECISIONS, "steps": STEPS, "answers": ANSWERS}
    assert {name: re.findall(r"`(\w+)`", columns) for name, columns in listed.items()} == {
        name: list(columns) for name, columns in frames.items()
    }
    methods = {name for name in vars(perdure.Run) if not name.startswith("_")}
    assert methods == {*frames, "status", "metrics", "policy"}
    for name in (*frames, "path", "status", "metrics", "policy"):
        assert f"`{name}" in page
