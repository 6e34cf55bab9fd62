"""Reads and writes IDX, the format that MNIST came in: a magic number, the sizes of the axes, then the bytes.

The magic number is two zeros, the type (8: unsigned bytes, the only one here) and the number of axes; sizes are
big-endian 32-bit numbers. Described at http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError

UNSIGNED_BYTES = 8
MAX_ELEMENTS = 2**31


def read_idx(file: Path, axes: int) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes with so many axes, plain or packed by gzip; read-only.

    Raises:
        DataError: a file that cannot be read, of another kind, or shorter or longer than it says.
    """
    data = _bytes(file)
    if data[:4] != bytes([0, 0, UNSIGNED_BYTES, axes]):
        raise DataError(
            f"{file}: not an IDX file of unsigned bytes with {axes} axes: it begins with "
            f"{data[:4].hex(' ') or 'nothing'}; give the files of MNIST or Fashion-MNIST as they are published"
        )
    start = 4 + 4 * axes
    sizes = [int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4)]
    wanted = math.prod(sizes)
    if len(data) < start or len(data) - start != wanted or wanted > MAX_ELEMENTS:
        raise DataError(
            f"{file}: cut off or damaged: it should hold {' x '.join(map(str, sizes))} bytes and holds "
            f"{max(0, len(data) - start)}; download it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(sizes)


def write_idx(file: Path, array: NDArray[np.uint8]) -> None:
    """Write an array as IDX, packed by gzip; equal arrays give equal files."""
    header = bytes([0, 0, UNSIGNED_BYTES, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
        packed.write(header + np.ascontiguousarray(array).tobytes())


def _bytes(file: Path) -> bytes:
    try:
        data = file.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read: {error}; download it again") from error
