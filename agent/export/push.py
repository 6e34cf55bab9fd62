"""Uploads an export to the hub with the user's own token."""

from pathlib import Path
from typing import Any, Protocol

from perdure.budget.errors import ConfigError, RunError
from perdure.curriculum.messages import one_line


class Hub(Protocol):
    """What is asked of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> Any: ...

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> Any: ...


def refuse_unpushable(name: str, token: str | None) -> None:
    """Refuse a name that the hub cannot have, and an upload without a token.

    Raises:
        ConfigError: says which.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
        valid = name.count("/") == 1
    except HFValidationError:
        valid = False
    if not valid:
        raise ConfigError(f"--push {name}: the hub's names are ORG/NAME, in letters, digits, `-`, `_` and `.`")
    if token is None:
        raise ConfigError(f"--push {name}: there is no token for the hub; log in with `hf auth login`, or set HF_TOKEN")


def push(folder: Path, name: str, hub: Hub, *, private: bool, message: str) -> str:
    """Make the repository if there is none, upload the folder as one commit, and return its address.

    Raises:
        RunError: the hub refuses or cannot be reached; the folder stays.
    """
    try:
        address = hub.create_repo(name, private=private or None, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
    except Exception as error:  # whatever the client raises, it is about the hub
        raise RunError(
            f"--push {name}: the hub did not take it ({type(error).__name__}: {one_line(error)}). The export is whole "
            f"in {folder}; upload it with: hf upload {name} {folder}"
        ) from error
    return str(address)
