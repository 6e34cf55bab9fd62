"""Words that the shell completes. Nothing here is imported before a shell asks, but typer calls these functions."""

from collections.abc import Iterable
from pathlib import Path


def files(incomplete: str) -> list[str]:
    """Shipped curricula, and YAML files and folders here."""
    from perdure.curriculum.file.shipped import shipped

    return [*_beginning(shipped(), incomplete), *_paths(incomplete)]


def sweep_files(incomplete: str) -> list[str]:
    """Shipped sweeps, and YAML files and folders here."""
    from perdure.curriculum.file.shipped import shipped_sweeps

    return [*_beginning(shipped_sweeps(), incomplete), *_paths(incomplete)]


def runs(incomplete: str) -> list[str]:
    """The runs in `runs/` by name, newest first, and folders here."""
    folder = Path("runs")
    found = [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
    newest = sorted(found, key=lambda one: one.stat().st_mtime, reverse=True)
    return [*_beginning([one.name for one in newest], incomplete), *_paths(incomplete)]


def lists(incomplete: str) -> list[str]:
    """The lists of `perdure list`."""
    from perdure.cli.commands.list import LISTS

    return _beginning(LISTS, incomplete)


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _paths(incomplete: str) -> list[str]:
    """Folders, with a slash, and YAML files that begin so."""
    around = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    inside = sorted(around.iterdir()) if around.is_dir() else []
    named = [
        f"{one}/" if one.is_dir() else str(one) for one in inside if one.is_dir() or one.suffix in (".yaml", ".yml")
    ]
    return _beginning(named, incomplete) if incomplete else [one for one in named if not one.startswith(".")]
