"""Files, folders and hub ids: every layout is read, and what cannot be read is named."""

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.language.spec import LANGUAGE
from tests.curriculum.methods import learnable_by
from tests.curriculum.worlds.language.sources.building import SUMS, assert_disjoint, data, write_rows


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet"])
def test_files_of_every_kind_hold_the_same_task(tmp_path: Path, suffix: str) -> None:
    task = data(write_rows(tmp_path / f"sums{suffix}", SUMS), reward={"type": "numeric"})
    assert (len(task.train), len(task.heldout)) == (6, 3)
    assert_disjoint(task)
    first = task.train[0]
    number = int(first.prompt[0]["content"].removesuffix("+1=?"))
    assert first.answer == first.demonstration == str(number + 1)
    assert learnable_by(task) == LANGUAGE.names


def test_a_folder_in_the_hub_s_layout(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    write_rows(folder / "data" / "train.jsonl", SUMS)
    write_rows(folder / "data" / "exam.jsonl", [{"question": f"{a}+1=?", "answer": str(a + 1)} for a in range(8, 20)])
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: sums\n  data_files:\n  - split: train\n    path: data/train.jsonl\n"
        "  - split: test\n    path: data/exam.jsonl\n---\nSums.\n"
    )
    task = data(folder, name="sums", train=50, heldout={"split": "test", "limit": 10})
    assert len(task.heldout) == 10
    assert_disjoint(task)  # of the 12 training rows, 8 to 11 are in the exam's split too
    assert 8 <= len(task.train) <= 11
    with pytest.raises(DataError, match=r"no split 'tset'; did you mean 'test'\? \(it has train, test\)"):
        data(folder, name="sums", split="tset")


def test_a_folder_that_save_to_disk_wrote(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    DatasetDict({"train": Dataset.from_list(SUMS)}).save_to_disk(str(tmp_path / "saved"))
    assert len(data(tmp_path / "saved").train) == 6
    with pytest.raises(DataError, match="no split 'test'"):
        data(tmp_path / "saved", split="test")


def test_relative_paths_start_at_the_curriculum_then_here(tmp_path: Path) -> None:
    write_rows(tmp_path / "file" / "sums.jsonl", SUMS)
    write_rows(tmp_path / "here" / "other.jsonl", SUMS)
    (tmp_path / "here").mkdir(exist_ok=True)
    with chdir(tmp_path / "here"):
        assert data("sums.jsonl", origin=tmp_path / "file").train
        assert data("other.jsonl", origin=tmp_path / "file").train
        with pytest.raises(DataError, match=r"no file or folder 'none.jsonl' \(looked in .*file and .*here\)"):
            data("none.jsonl", origin=tmp_path / "file")


def test_readers_of_datasets_in_place_of_a_path(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sums.jsonl", SUMS)
    assert data("json", data_files=str(path)).fingerprint() == data(path).fingerprint()
    assert data(path, split="exam").fingerprint() == data(path).fingerprint()  # a file is whatever split is asked for
    with pytest.raises(DataError, match=r"nobody.json is not there or cannot be reached; download it"):
        data("http://127.0.0.1:9/nobody.json")
    with pytest.raises(DataError, match="say which by `data_files`"):
        data("json")


@pytest.mark.parametrize("name", ["empty.json", "empty.jsonl", "empty.csv"])
def test_empty_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=r"is empty|cannot be loaded"):
        data(tmp_path / name)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file or folder './none'"):
        data("./none")
    with pytest.raises(DataError, match="no file or folder"):
        data(tmp_path / "none.jsonl")
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(DataError, match=r"a file must end in .json"):
        data(tmp_path / "notes.docx")
    (tmp_path / "broken.json").write_text('[{"question": ')
    with pytest.raises(DataError, match=r"broken.json:1:15: this is not JSON: expecting value"):
        data(tmp_path / "broken.json")


def test_an_unreachable_hub_is_named_at_once() -> None:
    code = (
        "import time, perdure.curriculum.worlds.build as build\n"
        "from perdure.budget.errors import PerdureError\n"
        "from perdure.curriculum.worlds.language.tasks import Dataset\n"
        "import datasets\n"
        "start = time.monotonic()\n"
        "try:\n    build.build_task(Dataset(type='dataset', path='perdure-tests/none'), name='a', seed=0)\n"
        "except PerdureError as error:\n    print(error)\n"
        "assert time.monotonic() - start < 10\n"
    )
    nobody_listens = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=nobody_listens, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the hub cannot be reached for 'perdure-tests/none'" in done.stdout
    assert "--set stages.N.task.path=FOLDER" in done.stdout


def test_folders_that_only_look_like_data(tmp_path: Path) -> None:
    def looked_at(name: str, content: str) -> Path:
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_text(content)
        return folder

    for name, content in (("dataset_dict.json", "{}"), ("state.json", "{")):
        with pytest.raises(DataError, match="has the marks of one that `save_to_disk` wrote and cannot be read"):
            data(looked_at(name, content))
    with pytest.raises(DataError, match=r"row \d+ cannot be read: cannot identify image"):
        data(looked_at("a.png", "x"), columns={"prompt": "image"})
    with pytest.raises(DataError, match=r"cannot be loaded: .* any data files"):
        data(looked_at("README.md", "# Data"))
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DataError, match=r"pipe.jsonl is neither a file nor a folder"):
        data(tmp_path / "pipe.jsonl")
