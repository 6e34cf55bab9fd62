"""`perdure sample` and `schema` write files that fit one another."""

import json
from pathlib import Path

import pytest

from perdure.budget.errors import RunError
from perdure.cli.commands.sample import sample_command
from perdure.cli.commands.schema import schema_command
from perdure.curriculum.file.reader import read_curriculum


def test_a_written_sample_has_the_schema_of_its_first_line_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    sample_command("control", file, minimal=True)
    assert read_curriculum(file).curriculum.world == "control"
    named = file.read_text().splitlines()[0].partition("$schema=")[2]
    assert json.loads((tmp_path / named).read_text())["$id"] == "urn:perdure:schema:curriculum"
    assert f"perdure run {file}" in capsys.readouterr().out


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine")
    with pytest.raises(RunError, match="is there already"):
        sample_command(None, file, minimal=False)
    assert [one.name for one in tmp_path.iterdir()] == ["mine.yaml"] and file.read_text() == "mine"


def test_a_schema_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema_command(None, sweep=True)
    assert json.loads(capsys.readouterr().out)["$id"] == "urn:perdure:schema:sweep"
    schema_command(tmp_path / "sweep.json", sweep=True)
    assert json.loads((tmp_path / "sweep.json").read_text())["title"] == "perdure sweep"
    with pytest.raises(RunError, match="cannot be written"):
        schema_command(tmp_path / "none" / "x.json", sweep=False)
