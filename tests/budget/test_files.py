"""Files whole or not at all, and what a full disk looks like."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

from perdure.budget.files import NO_SPACE, atomic_path, is_full_disk, readable, write_atomic


def elsewhere(code: str, path: Path) -> None:
    """Run a script in another process, which must end well."""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, durable: bool, shared: bool) -> None:
    for content in (b"first, and longer", b"second"):
        write_atomic(tmp_path / "a.json", content, durable=durable, shared=shared)
        assert (tmp_path / "a.json").read_bytes() == content
    assert names(tmp_path) == {"a.json"}


@pytest.mark.parametrize("shared", [True, False])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, shared: bool) -> None:
    write_atomic(tmp_path / "a", b"before")
    with pytest.raises(OSError, match="no room"), atomic_path(tmp_path / "a", shared=shared) as partial:
        partial.write_bytes(b"half of wh")
        raise OSError(errno.ENOSPC, "no room")
    assert (tmp_path / "a").read_bytes() == b"before"
    assert names(tmp_path) == {"a"}


def test_the_file_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as partial:
        partial.write_bytes(b"half")
        assert names(tmp_path) == {"a.partial"}
    assert names(tmp_path) == {"a"}


def test_what_a_kill_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.partial").write_bytes(b"half of something longer")
    write_atomic(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert names(tmp_path) == {"a"}


def test_processes_that_share_a_file_write_apart(tmp_path: Path) -> None:
    write = "write_atomic(Path(sys.argv[1]), b'theirs', shared=True)"
    with atomic_path(tmp_path / "a", shared=True) as ours:
        elsewhere(
            f"import sys; from pathlib import Path; from perdure.budget.files import write_atomic; {write}",
            tmp_path / "a",
        )
        assert (tmp_path / "a").read_bytes() == b"theirs"
        ours.write_bytes(b"ours")
    assert (tmp_path / "a").read_bytes() == b"ours"
    assert names(tmp_path) == {"a"}


@pytest.mark.parametrize("number", NO_SPACE)
def test_no_room_is_told_by_number_and_in_the_words_of_safetensors(number: int) -> None:
    assert is_full_disk(OSError(number, "no room"))
    assert is_full_disk(SafetensorError(f"Error while serializing: I/O error: no room (os error {number})"))


def test_other_errors_are_no_full_disk() -> None:
    assert not is_full_disk(OSError(errno.EACCES, "permission denied"))
    assert not is_full_disk(SafetensorError("I/O error: what is this (os error 281)"))
    assert not is_full_disk(ValueError(f"someone else's (os error {errno.ENOSPC})"))


def test_safetensors_with_no_room(tmp_path: Path) -> None:
    """The words as they are: in a process that may write no file above a kilobyte."""
    elsewhere(NO_ROOM, tmp_path / "a.safetensors")


NO_ROOM = """
import resource, signal, sys
import numpy as np
from safetensors.numpy import save_file
from perdure.budget.files import is_full_disk

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
try:
    save_file({"a": np.zeros(10_000)}, sys.argv[1])
except Exception as error:
    sys.exit(not is_full_disk(error))
sys.exit(2)
"""


@pytest.mark.parametrize(("folder", "file"), [(0o755, 0o644), (0o700, 0o600), (0o750, 0o640)])
def test_files_are_read_by_those_who_read_the_folder(tmp_path: Path, folder: int, file: int) -> None:
    made = tmp_path / "policy"
    made.mkdir(mode=folder)
    (made / "model.safetensors").touch(mode=0o600)
    readable(made)
    assert (made / "model.safetensors").stat().st_mode & 0o777 == file
