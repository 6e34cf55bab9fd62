"""Local paths: relative to the file, absolute afterwards, and there."""

from pathlib import Path
from typing import Any

import pytest

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from tests.curriculum.file.written import GOOD, Write


def with_task(task: str) -> str:
    head = GOOD.split("stages:", maxsplit=1)[0].replace("method: rl", "method: sft")
    return head + f"stages:\n  - name: a\n    task: {task}\n"


def test_paths_are_relative_to_the_file_and_come_out_absolute(tmp_path: Path, write: Write) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.jsonl").write_text("{}\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "org" / "name").mkdir(parents=True)

    def task(text: str) -> Any:
        return read_curriculum(write(with_task(text))).curriculum.stages[0].task

    assert task("{type: dataset, path: ./data/x.jsonl}").path == str(tmp_path / "data/x.jsonl")
    assert task("{type: dataset, path: data/x.jsonl}").path == str(tmp_path / "data/x.jsonl")
    assert task("{type: dataset, path: data/../data/x.jsonl}").path == str(tmp_path / "data/x.jsonl")
    assert task("{type: dataset, path: org/name}").path == str(tmp_path / "org/name")
    assert task("{type: dataset, path: hub/name, data_files: x.jsonl}").path == "hub/name"
    assert task("{type: dataset, path: hub/name, data_files: x.jsonl}").data_files == "x.jsonl"
    assert task("{type: dataset, path: json, data_files: data/*.jsonl}").data_files == str(tmp_path / "data/*.jsonl")
    assert task("{type: dataset, path: json, data_files: [./data/x.jsonl]}").data_files == [
        str(tmp_path / "data/x.jsonl")
    ]
    url = "https://example.org/x.jsonl"
    assert task(f"{{type: dataset, path: json, data_files: {url}}}").data_files == url
    everything = (
        GOOD.replace("builtin:tiny", "./models").replace("kl: 0.5", "kl: 1, prompts: generic, generic: data/x.jsonl")
        + "benchmarks:\n  - {tasks: a, include_path: data}\n  - {tasks: b, include_path: builtin}\n"
    )
    curriculum = read_curriculum(write(everything)).curriculum
    assert curriculum.model.model_name_or_path == str(tmp_path / "models")
    assert curriculum.budget.generic == str(tmp_path / "data/x.jsonl")
    assert [one.include_path for one in curriculum.benchmarks] == [str(tmp_path / "data"), "builtin"]


def test_paths_of_overrides_are_relative_to_the_current_folder(tmp_path: Path, write: Write) -> None:
    here = Path.cwd()
    (tmp_path / "pyproject.toml").mkdir()  # in the file's folder a folder, in the current one nothing of that name
    path = read_curriculum(write(GOOD), ["model.model_name_or_path=./"]).curriculum.model.model_name_or_path
    assert path == str(here)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("{type: dataset, path: ./x}", "10:33: stages[0].task.path: no such file or folder: {}/x"),
        ("{type: dataset, path: x.csv}", "10:33: stages[0].task.path: no such file or folder: {}/x.csv"),
        ("{type: dataset, path: ~nobody-at-all/x}", "10:33: stages[0].task.path: no such user: ~nobody-at-all/x"),
        (
            "{type: dataset, path: csv, data_files: [x.csv]}",
            "10:51: stages[0].task.data_files[0]: no such file: {}/x.csv",
        ),
        ("{type: dataset, path: csv, data_files: ./*.csv}", "10:50: stages[0].task.data_files: no such file: {}/*.csv"),
    ],
)
def test_missing_files_are_refused_at_their_place(tmp_path: Path, task: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("#\n#\n#\n#\n" + with_task(task).replace("builtin:tiny", "hub/model"))
    with pytest.raises(CurriculumError) as raised:
        read_curriculum(file)
    assert str(raised.value) == f"{file}:" + message.format(tmp_path)
