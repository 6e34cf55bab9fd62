"""Asks whether the hub answers, and which files a name has there, in a folder, or in the local cache."""

from functools import cache
from pathlib import Path

from transformers.utils import cached_file

HUB_SECONDS = 10


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
    try:
        offline = not hub_answers(name, revision)
        return cached_file(name, file, revision=revision, local_files_only=offline) is not None
    except (OSError, ValueError):
        return False
