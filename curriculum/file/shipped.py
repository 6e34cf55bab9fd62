"""The curricula and sweeps that come with perdure, and what the head of such a file says. It imports nothing heavy."""

import re
from importlib.resources import files
from pathlib import Path

NEEDS = "Needs: "
"""The beginning of the head's line about what a file needs."""


def shipped() -> dict[str, Path]:
    """The curricula that come with perdure, by name."""
    return _in_folder("curricula")


def shipped_sweeps() -> dict[str, Path]:
    """The sweeps that come with perdure, by name."""
    return _in_folder("sweeps")


def _in_folder(name: str) -> dict[str, Path]:
    folder = Path(str(files("perdure.curriculum") / name))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def summary_and_needs(file: Path) -> tuple[str, str]:
    """The first sentence of a file's first comment, and what its line `# Needs: …` says."""
    head: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        head.append(line.removeprefix("#").strip())
    needs = next((line.removeprefix(NEEDS) for line in head if line.startswith(NEEDS)), "")
    return first_sentence(" ".join(line for line in head if not line.startswith(NEEDS))), needs.removesuffix(".")


def first_sentence(text: str) -> str:
    """The first sentence, without its full stop; that of `Dr. GRPO` ends none."""
    return re.split(r"(?<!\bDr)\.(?:\s|$)", text.strip(), maxsplit=1)[0]
