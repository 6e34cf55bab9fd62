"""YAML: what it is read as, and what is no curriculum at all, said once with its place."""

from pathlib import Path

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.file.reader import read_curriculum
from tests.curriculum.file.written import GOOD, Write, faults


@pytest.mark.parametrize(
    ("written", "number"), [("1e-5", 1e-5), ("1E-5", 1e-5), ("1.e-5", 1e-5), (".5", 0.5), ("1", 1.0), ("3E2", 300.0)]
)
def test_numbers_in_scientific_notation_are_numbers(write: Write, written: str, number: float) -> None:
    file = write(GOOD + f"train: {{learning_rate: {written}}}\n")
    assert read_curriculum(file).curriculum.train.learning_rate == number
    overridden = read_curriculum(write(GOOD), [f"train.learning_rate={written}"])
    assert overridden.curriculum.train.learning_rate == number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.yaml:1:1: a curriculum is a map of keys; the file is empty; `perdure sample` prints one"),
        ("# nothing\n", "mine.yaml:1:1: a curriculum is a map of keys; the file is empty; `perdure sample` prints one"),
        ("- 1\n", "mine.yaml:1:1: a curriculum is a map of keys; got a list of 1; `perdure sample` prints one"),
        ("model:\n\tx: 1\n", "mine.yaml:2:1: not valid YAML: a tab cannot indent; use spaces"),
        ("a: 1\nb: [2\n", "mine.yaml:3:1: not valid YAML: expected ',' or ']', but got '<stream end>' "),
        ("a: 1\n--- \nb: 2\n", "mine.yaml:2:1: not valid YAML: but found another document"),
        ("a: 1\nb: 2\na: 3\n", "mine.yaml:3:1: the key a is given twice; first at mine.yaml:1:1"),
        ("a: {b: 1, b: 2}\n", "mine.yaml:1:11: a: the key b is given twice; first at mine.yaml:1:5"),
        ("1: a\n", "mine.yaml:1:1: keys must be text; got '1'; write it in quotes"),
        (
            "a: !!python/object:os.system x\n",
            "mine.yaml:1:4: the tag 'tag:yaml.org,2002:python/object:os.system' is not",
        ),
        ("a: *b\n", "mine.yaml:1:4: not valid YAML: found undefined alias 'b'"),
        ("a: &a [*a]\n", "mine.yaml:1:4: an alias contains itself"),
        ("a: 1\nb: \x00\n", "mine.yaml:2:4: not a text file: unprintable character '\\x00'"),
    ],
)
def test_what_is_no_curriculum_is_said_once_with_its_place(write: Write, text: str, message: str) -> None:
    (line,) = faults(write(text))
    assert line.startswith(message)


def test_aliases_that_explode_are_refused(write: Write) -> None:
    # Ten levels of ten aliases each would be 10**10 nodes.
    levels = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)]
    (line,) = faults(write("\n".join(levels)))
    assert line.endswith("more than 50,000 keys and values, those of aliases counted each time")


def test_deep_nesting_is_refused(write: Write) -> None:
    (line,) = faults(write("a: " + "[" * 1000))
    assert "nested too deeply" in line


def test_files_that_are_no_text(tmp_path: Path) -> None:
    binary = tmp_path / "mine.yaml"
    binary.write_bytes(b"a: 1\nb: \xff\xfe\n")
    assert faults(binary) == ["mine.yaml:2:4: not a text file in UTF-8"]
    binary.write_bytes(b"#" * (4 * 2**20 + 1))
    assert faults(binary) == ["mine.yaml: not a curriculum: larger than 4 MiB"]
    folder = tmp_path / "folder"
    folder.mkdir()
    assert faults(folder) == ["folder: a folder, not a file; give the YAML file in it"]
    with pytest.raises(ConfigError, match="no such file, and no shipped curriculum has this name"):
        read_curriculum(tmp_path / "missing.yaml")


def test_byte_order_marks_anchors_and_merge_keys_are_followed(write: Write) -> None:
    text = "\ufeff" + GOOD.replace("task: {type", "task: &sum {type", 1).replace(
        "v1.2\n    task: {type: reasoning_gym, dataset: chain_sum}", "v1.2\n    task: {<<: *sum, train: 7}"
    )
    tasks = [stage.task for stage in read_curriculum(write(text)).curriculum.stages]
    assert [(task.type, task.train) for task in tasks] == [("reasoning_gym", 500), ("reasoning_gym", 7)]
    assert faults(write(text.replace("dataset: chain_sum", "dataset: 3")))[-1].startswith(
        "mine.yaml:6:47: stages[1].task"
    )


def test_dates_and_yes_stay_text(write: Write) -> None:
    text = GOOD.replace("builtin:tiny}", "no, revision: 2024-01-02}")
    model = read_curriculum(write(text)).curriculum.model
    assert (model.revision, model.model_name_or_path) == ("2024-01-02", "no")
