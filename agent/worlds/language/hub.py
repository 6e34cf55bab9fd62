"""The place of a model's files: inside this package, in a folder, or on the hub."""

from importlib.resources import files
from pathlib import Path

from perdure.agent.worlds import hub
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.model import CausalModel


def hub_answers(config: CausalModel) -> bool:
    """See `perdure.agent.worlds.hub.hub_answers`."""
    return hub.hub_answers(resolve_path(config.model_name_or_path), config.revision)


def has_file(config: CausalModel, file: str) -> bool:
    """See `perdure.agent.worlds.hub.has_file`."""
    return hub.has_file(resolve_path(config.model_name_or_path), config.revision, file)


def resolve_path(name: str) -> str:
    """The path of a model: `builtin:NAME` is inside this package, any other name is taken as it is.

    Raises:
        ModelError: no such built-in model.
    """
    if not name.startswith("builtin:"):
        return name
    shipped = Path(str(files("perdure.agent.worlds.language.builtin_model")))
    folder = shipped / name.removeprefix("builtin:")
    if not (folder / "config.json").is_file():
        known = ", ".join(sorted(f"builtin:{path.parent.name}" for path in shipped.glob("*/config.json")))
        raise ModelError(f"model.model_name_or_path: there is no {name!r}; shipped with perdure: {known}")
    return str(folder)
