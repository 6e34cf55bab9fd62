"""The place of a model's files: inside this package, in a folder, or on the hub."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from transformers.utils import cached_file

from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.model import CausalModel

HUB_SECONDS = 10


def hub_answers(config: CausalModel) -> bool:
    """True where the hub answers within `HUB_SECONDS`; transformers itself would try for most of a minute.

    Without an answer only the local cache is read.
    """
    name = config.model_name_or_path
    return not name.startswith("builtin:") and not Path(name).exists() and _answers(name, config.revision)


@cache
def _answers(name: str, revision: str | None) -> bool:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(name, revision=revision, timeout=HUB_SECONDS)
    except HfHubHTTPError:
        return True
    except Exception:  # no network, a name the hub cannot have, a proxy that refuses: all mean that it gave nothing
        return False
    return True


def has_file(config: CausalModel, file: str) -> bool:
    """True if the folder, the hub or its local cache has a file of that name."""
    folder, offline = resolve_path(config.model_name_or_path), not hub_answers(config)
    try:
        return cached_file(folder, file, revision=config.revision, local_files_only=offline) is not None
    except (OSError, ValueError):
        return False


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
