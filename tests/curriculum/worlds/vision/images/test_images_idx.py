"""IDX files by hand, there and back, and those that are refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.vision.images.idx import read_idx, write_idx

# Two zeros, 8 for unsigned bytes, 2 axes, then 2 and 3 as big-endian 32-bit numbers, then the six bytes row by row.
BY_HAND = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60])


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_written_by_hand(tmp_path: Path, packed: bool) -> None:
    file = tmp_path / "x"
    file.write_bytes(gzip.compress(BY_HAND, mtime=0) if packed else BY_HAND)
    found = read_idx(file, 2)
    assert found.tolist() == [[10, 20, 30], [40, 50, 60]]
    assert not found.flags.writeable


def test_what_is_written_is_that_and_the_same_every_time(tmp_path: Path) -> None:
    array = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
    for name in ("one.gz", "two.gz"):
        write_idx(tmp_path / "folder" / name, array)
    one, two = ((tmp_path / "folder" / name).read_bytes() for name in ("one.gz", "two.gz"))
    assert one == two
    assert gzip.decompress(one) == BY_HAND


@given(arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(1, 5))))
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    file = tmp_path_factory.mktemp("idx") / "x.gz"
    write_idx(file, array)
    assert np.array_equal(read_idx(file, 3), array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IDX file of unsigned bytes with 2 axes: it begins with nothing; give the files of MNIST"),
        (b"PNG and more", "not an IDX file of unsigned bytes with 2 axes: it begins with 50 4e 47 20"),
        (BY_HAND[:3] + b"\1" + BY_HAND[4:], "it begins with 00 00 08 01"),
        (BY_HAND[:2] + b"\x0d" + BY_HAND[3:], "it begins with 00 00 0d 02"),  # floats
        (BY_HAND[:-1], "cut off or damaged: it should hold 2 x 3 bytes and holds 5; download it again"),
        (BY_HAND + b"\0", "it should hold 2 x 3 bytes and holds 7"),
        (BY_HAND[:7], "cut off or damaged"),
        (BY_HAND[:4] + b"\xff" * 8, "cut off or damaged"),
        (gzip.compress(BY_HAND, mtime=0)[:-9], "cannot be read: .*; download it again"),
        (gzip.compress(BY_HAND, mtime=0)[:12] + b"\0" * 20, "cannot be read: .*; download it again"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "x.gz"
    file.write_bytes(data)
    with pytest.raises(DataError, match=message) as raised:
        read_idx(file, 2)
    assert str(raised.value).startswith(f"{file}: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read: .*No such file"):
        read_idx(tmp_path / "x", 2)
