"""Asks whether the hub answers, and which files a name has there, in a folder, or in the local cache."""

import re
from functools import cache
from pathlib import Path

from transformers.utils import cached_file

HUB_SECONDS = 10
COMMIT = re.compile(r"/snapshots/([0-9a-f]{40})/")


def hub_answers(name: str, revision: str | None) -> bool:
    """True for a name that is no folder, where the hub answers within `HUB_SECONDS`.

    transformers itself would try for most of a minute. Without an answer only the local cache is read.
    """
    return not Path(name).exists() and _answers(name, revision)


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


def has_file(name: str, revision: str | None, file: str) -> bool:
    """True if the folder, the hub or its local cache has a file of that name."""
    return found_file(name, revision, file) is not None


def found_file(name: str, revision: str | None, file: str) -> Path | None:
    """The path here of a file of a folder or of the hub, which gives it where it answers; `None`: it has none."""
    try:
        offline = not hub_answers(name, revision)
        path = cached_file(name, file, revision=revision, local_files_only=offline)
    except (OSError, ValueError):
        return None
    return None if path is None else Path(path)


def commit_of(file: Path) -> str | None:
    """The commit of a file in the local cache of the hub; `None` for any other file."""
    found = COMMIT.search(file.absolute().as_posix())
    return found and found[1]


def license_of(name: str, revision: str | None) -> dict[str, str]:
    """The fields `license`, `license_name` and `license_link` of a model's own card; empty where it says none."""
    from huggingface_hub import ModelCard

    file = found_file(name, revision, "README.md")
    try:
        said = {} if file is None else ModelCard.load(file, ignore_metadata_errors=True).data.to_dict()
    except Exception:  # a card is free text, and its header any YAML
        return {}
    fields = ("license", "license_name", "license_link")
    return {key: said[key] for key in fields if isinstance(said.get(key), str)} if "license" in said else {}
