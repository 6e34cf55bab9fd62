"""Where a law that a curriculum names is: in a file, or among those that ship with perdure."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from perdure.budget.errors import ConfigError

BUILTIN = "builtin:"


def law_path(name: str, shipped: Path | None = None) -> Path:
    """Where a law is: `builtin:NAME` inside this package, anything else as it stands.

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
