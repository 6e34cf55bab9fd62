"""Loads the images: the subset that ships with perdure, the whole sets from the hub, or a folder of IDX files.

Axes: N images, P = 784 pixels.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.hub import fetch
from perdure.curriculum.worlds.vision.images.idx import read_idx
from perdure.curriculum.worlds.vision.images.observation import PIXELS
from perdure.curriculum.worlds.vision.images.rules import NUM_CLASSES

ImageKind = Literal["digits", "clothes"]

FOLDERS: dict[ImageKind, str] = {"digits": "mnist", "clothes": "fashion-mnist"}
HUB_IDS: dict[ImageKind, str] = {"digits": "ylecun/mnist", "clothes": "zalando-datasets/fashion_mnist"}


@dataclass(frozen=True)
class ImageSet:
    """Images of one kind: uint8 of shape (N, 784), row by row, 0 for the background; labels of shape (N,), 0 to 9."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


@cache
def load_images(data: str, images: ImageKind) -> ImageSet:
    """The images of one kind, read once a process; the arrays are read-only.

    `data` is `shipped`, `full` (both sets whole, from the Hugging Face hub or its cache), or a folder with the IDX
    files of `mnist/` and `fashion-mnist/` under their usual names, plain or packed by gzip.

    Raises:
        DataError: files that are missing, cut off or of another kind, or a hub that cannot be reached.
    """
    if data == "full":
        return _checked(*_hub(images, "train"), *_hub(images, "test"), where=HUB_IDS[images])
    root = Path(str(files("perdure.curriculum.worlds.vision.images") / "shipped")) if data == "shipped" else Path(data)
    folder = root / FOLDERS[images]
    return _checked(*_folder(folder, "train"), *_folder(folder, "t10k"), where=str(folder))


def _folder(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return (
        read_idx(_find(folder, f"{part}-images", "idx3-ubyte"), 3),
        read_idx(_find(folder, f"{part}-labels", "idx1-ubyte"), 1),
    )


def _find(folder: Path, name: str, kind: str) -> Path:
    """The file under one of its usual names; some copies have a dot in place of a dash."""
    names = [f"{name}{between}{kind}{end}" for between in "-." for end in (".gz", "")]
    found = next((folder / one for one in names if (folder / one).is_file()), None)
    if found is None:
        raise DataError(
            f"there is no file {names[0]} (or {names[1]}) in {folder}; `data` takes a folder with the IDX files of "
            f"{' and '.join(f'{name}/' for name in FOLDERS.values())}, `shipped`, or `full`"
        )
    return found


def _hub(images: ImageKind, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One split of a whole set, through `datasets.load_dataset`."""
    remedy = (
        "`data: shipped` works without it; or download the IDX files on another machine and give the folder that holds "
        f"{' and '.join(f'{name}/' for name in FOLDERS.values())} as `data`"
    )
    rows = fetch(HUB_IDS[images], f"`data: full`, {images}", remedy=remedy).split(split)
    return from_rows(rows, HUB_IDS[images])


def from_rows(rows: Any, where: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and labels of a `datasets.Dataset` with the columns `image` and `label`.

    Raises:
        DataError: other columns, or images that are not 28 by 28 grey pixels.
    """
    missing = [name for name in ("image", "label") if name not in rows.column_names]
    if missing:
        raise DataError(f"{where} has no column {missing[0]!r} (there are {', '.join(rows.column_names)})")
    pictures = [np.asarray(picture, np.uint8) for picture in rows["image"]]
    shapes = {picture.shape for picture in pictures}
    if shapes != {(28, 28)}:
        raise DataError(f"{where} holds images of {' and '.join(map(str, sorted(shapes)))} and not of 28 x 28 pixels")
    return np.stack(pictures), np.asarray(rows["label"], np.uint8)


def _checked(
    train_images: NDArray[np.uint8],
    train_labels: NDArray[np.uint8],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.uint8],
    where: str,
) -> ImageSet:
    """Flat, read-only images with as many labels.

    Raises:
        DataError: they do not fit together.
    """
    for images, labels in ((train_images, train_labels), (test_images, test_labels)):
        if images.shape[1:] != (28, 28):
            raise DataError(
                f"{where} holds images of {' x '.join(map(str, images.shape[1:]))} and not of 28 x 28 pixels"
            )
        if len(images) != len(labels):
            raise DataError(f"{where} holds {len(images)} images and {len(labels)} labels; download it again")
        if len(labels) == 0 or labels.max() >= NUM_CLASSES:
            raise DataError(f"{where}: labels must be 0 to 9; give the files of MNIST or Fashion-MNIST")
    return ImageSet(_flat(train_images), _frozen(train_labels), _flat(test_images), _frozen(test_labels))


def _flat(images_NHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    images_NP = np.ascontiguousarray(images_NHW.reshape(-1, PIXELS))
    images_NP.setflags(write=False)
    return images_NP


def _frozen(labels_N: NDArray[np.uint8]) -> NDArray[np.int64]:
    wide_N = labels_N.astype(np.int64)
    wide_N.setflags(write=False)
    return wide_N
