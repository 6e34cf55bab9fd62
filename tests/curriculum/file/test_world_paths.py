"""Local paths in the sections that the two worlds do not share are relative to the file."""

import shutil
from pathlib import Path
from typing import Any

from perdure.budget.law.shipped import law_path
from perdure.curriculum.worlds.vision.model import MlpModel
from tests.curriculum.file.two_worlds import LANGUAGE, VISION, faults, read


def test_paths_of_images_tasks_and_laws_are_relative_to_the_file(tmp_path: Path) -> None:
    for name in ("pictures", "others"):
        (tmp_path / name).mkdir()
    shutil.copy(law_path("builtin:parity-mnist"), tmp_path / "law.json")
    text = (
        VISION.replace("{type: mlp}", "{type: mlp, data: pictures}")
        .replace("rule: parity", "rule: parity, data: ./others")
        .replace("{kl: 1}", "{kl: 1, law: law.json}")
        + "benchmarks:\n  - {type: task, name: b, task: {type: images, images: clothes, rule: label, data: others}}\n"
    )
    curriculum = read(tmp_path, text)
    assert isinstance(curriculum.model, MlpModel)
    tasks: list[Any] = [curriculum.stages[0].task, *(getattr(one, "task", None) for one in curriculum.benchmarks)]
    assert curriculum.model.data == str(tmp_path / "pictures")
    assert [task.data for task in tasks] == [str(tmp_path / "others")] * 2
    assert curriculum.budget.law == str(tmp_path / "law.json")
    assert faults(tmp_path, text.replace("law.json", "lew.json")) == [
        f"2:22: budget.law: no such file: {tmp_path}/lew.json"
    ]
    kept_law = read(tmp_path, text.replace("law.json", "builtin:parity-mnist")).budget.law
    assert kept_law == "builtin:parity-mnist"
    for data in ("shipped", "full"):
        kept = read(tmp_path, text.replace("pictures", data)).model
        assert isinstance(kept, MlpModel)
        assert kept.data == data


def test_a_dataset_s_path_in_a_benchmark_is_looked_up_too(tmp_path: Path) -> None:
    text = LANGUAGE + "benchmarks:\n  - {type: task, name: b, task: {type: dataset, path: ./x.jsonl}}\n"
    assert faults(tmp_path, text) == [f"8:55: benchmarks[0].task.path: no such file or folder: {tmp_path}/x.jsonl"]
