"""A law that a curriculum names is looked at when the file is read; so is a file of the other kind."""

from pathlib import Path

import pytest

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.sweeps.reader import read_sweep


def told(overrides: list[str], name: str = "parity-mnist") -> str:
    with pytest.raises(CurriculumError) as caught:
        read_curriculum(name, overrides)
    return str(caught.value)


def test_what_is_no_law_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "law.json"
    file.write_text("{}")
    assert "not a law saved by perdure" in told([f"budget.law={file}"])
    assert "there is builtin:parity-mnist" in told(["budget.law=builtin:nosuch"])
    assert "no such file" in told([f"budget.law={tmp_path / 'none.json'}"])


def test_a_law_of_the_other_world_is_refused() -> None:
    message = told(["budget.law=builtin:parity-mnist"], "demo")
    assert "the law is of the vision world, and the model of the language world" in message


def test_a_sweep_is_no_curriculum_nor_the_other_way_round(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("curriculum: demo\naxes:\n  - {path: seed, values: [1]}\n")
    assert f"{sweep}:2:1: this is a sweep; start it with: perdure sweep {sweep}" in told([], str(sweep))
    life = tmp_path / "life.yaml"
    life.write_text("seed: 0\nstages: []\n")
    with pytest.raises(CurriculumError, match=r"life\.yaml:2:1: this is a curriculum; start it with: perdure run"):
        read_sweep(life)
