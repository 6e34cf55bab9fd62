"""The run folder: in one step or not at all, for one process at a time."""

import errno
from pathlib import Path

import pytest

from perdure.agent.run.folder import (
    check_free,
    commit_folder,
    create,
    disk_explained,
    fresh_path,
    locked,
    open_folder,
    read_json,
    write_json,
)
from perdure.budget.errors import DiskFullError, RunError


def test_a_run_folder_that_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    create(tmp_path / "run", {"run": "run"})
    with pytest.raises(RunError, match="perdure resume"):
        create(tmp_path / "run", {"run": "other"})
    assert read_json(tmp_path / "run" / "run.json") == {"run": "run"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_fresh_names_count_up(tmp_path: Path) -> None:
    assert fresh_path(tmp_path, "demo").name == "demo-1"
    create(tmp_path / "demo-1", {})
    assert fresh_path(tmp_path, "demo").name == "demo-2"


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        open_folder(tmp_path / "none")
    with pytest.raises(RunError, match="not a run folder"):
        open_folder(tmp_path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = create(tmp_path / "run", {})
    with locked(folder), pytest.raises(RunError, match="in use"), locked(folder):
        pass
    with locked(folder):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_with_the_way_on(tmp_path: Path, number: int) -> None:
    folder = create(tmp_path / "run", {})
    with pytest.raises(DiskFullError, match="perdure resume"), disk_explained(folder.path):
        raise OSError(number, "no room")


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(KeyError), disk_explained(create(tmp_path / "run", {}).path):
        raise KeyError("x")


def test_a_stage_is_committed_by_one_rename(tmp_path: Path) -> None:
    partial = tmp_path / "01-a.partial"
    partial.mkdir()
    write_json(partial / "stage.json", {"steps": 3})
    commit_folder(partial, tmp_path / "01-a")
    assert not partial.exists()
    assert read_json(tmp_path / "01-a" / "stage.json") == {"steps": 3}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("x" * 5000, "is too long; its last part may have 200 bytes"),
        ("/".join(["y" * 100] * 60), "is too long"),
        ("a\udcffb", "is not UTF-8"),
        ("file/run", "it is a file"),
    ],
)
def test_a_folder_that_cannot_be_made_is_refused_early(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=said) as raised:
        check_free(tmp_path / path)
    assert len(str(raised.value)) < 400
