"""The upload of an export: what the hub is asked, and what is said where it refuses."""

from pathlib import Path
from typing import Any

import pytest

from perdure.agent.export.push import push, refuse_unpushable
from perdure.budget.errors import ConfigError, RunError


class Hub:
    """Notes what it is asked, and may be out of reach."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.asked: list[Any] = []
        self.fault = fault

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> str:
        self.asked.append(("create", repo_id, private, exist_ok))
        return f"https://hub/{repo_id}"

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.asked.append(("upload", repo_id, folder_path, commit_message))


def test_a_repository_is_made_and_filled() -> None:
    hub = Hub()
    assert push(Path("out"), "me/mine", hub, private=True, message="m") == "https://hub/me/mine"
    assert hub.asked == [("create", "me/mine", True, True), ("upload", "me/mine", Path("out"), "m")]
    push(Path("out"), "me/mine", hub, private=False, message="m")
    assert hub.asked[2] == ("create", "me/mine", None, True)  # an existing repository stays as private as it is


def test_a_hub_out_of_reach_loses_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=rf"ConnectionError: no route\). .* whole in {tmp_path}; .*: hf upload me/mine"):
        push(tmp_path, "me/mine", Hub(ConnectionError("no route")), private=False, message="m")


@pytest.mark.parametrize("name", ["mine", "a/b/c", "me/what?", "me/-x"])
def test_names_that_the_hub_cannot_have(name: str) -> None:
    with pytest.raises(ConfigError, match="the hub's names are ORG/NAME"):
        refuse_unpushable(name, "token")


def test_no_token() -> None:
    with pytest.raises(ConfigError, match="there is no token for the hub; log in with `hf auth login`"):
        refuse_unpushable("me/mine", None)
