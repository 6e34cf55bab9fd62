"""The path of a law that a curriculum names: a file, or one shipped with perdure."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from perdure.budget.errors import ConfigError

BUILTIN = "builtin:"


def law_path(name: str, shipped: Path | None = None) -> Path:
    """The path of a law: inside this package for `builtin:NAME`, else the name itself.

    Raises:
        ConfigError: no law of that name is shipped.
    """
    if not name.startswith(BUILTIN):
        return Path(name)
    folder = shipped or Path(str(files("perdure.budget.law"))) / "builtin"
    path = folder / f"{name.removeprefix(BUILTIN)}.json"
    if not path.is_file():
        raise ConfigError(f"budget.law: {name} is not shipped with perdure; there is {_listed(folder)}")
    return path


def _listed(folder: Path) -> str:
    known: Sequence[str] = sorted(f"{BUILTIN}{path.stem}" for path in folder.glob("*.json"))
    return ", ".join(known) or "none"
