"""The package `perdure`: what is public, that it is imported late, and that type checkers know it."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import perdure

HEAVY = ("torch", "transformers", "pandas", "numpy", "pydantic", "typer", "importlib.metadata")


def test_importing_perdure_imports_nothing_else() -> None:
    code = (
        "import sys; before = {*sys.modules}; import perdure; "
        "print(sorted(one for one in {*sys.modules} - before if not one.startswith('perdure') and one != 'typing'))"
    )
    found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    listed = found.stdout
    assert not [name for name in HEAVY if f"'{name}'" in listed], listed


def test_every_public_name_is_there() -> None:
    assert dir(perdure) == sorted(perdure.__all__)
    assert all(getattr(perdure, name) is not None for name in perdure.__all__)
    assert perdure.__version__ == version("perdure")
    with pytest.raises(AttributeError, match="no attribute 'runn'; it has Item, "):
        perdure.runn  # type: ignore[attr-defined]  # noqa: B018
