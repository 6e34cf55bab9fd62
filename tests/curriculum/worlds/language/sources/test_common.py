"""What the sources share: the cut, demonstrations by a function, answers that a reward can read."""

from pathlib import Path

import pytest

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.worlds.language.spec import LANGUAGE
from tests.curriculum.methods import learnable_by
from tests.curriculum.worlds.language.sources.building import SUMS, data, gym, python, write_rows


def test_too_few_rows_are_shared_out(tmp_path: Path) -> None:
    # 12 rows for 100 + 100: half are held out
    path = write_rows(tmp_path / "sums.jsonl", SUMS)
    task = data(path, train=100, heldout=100)
    assert (len(task.train), len(task.heldout)) == (6, 6)
    # 12 rows for 3 + 100: 3 are held out as asked, the rest is trained on
    task = data(path, train=100, heldout=3)
    assert (len(task.train), len(task.heldout)) == (9, 3)
    three = write_rows(tmp_path / "three.jsonl", SUMS[:3])
    assert len(data(three).heldout) == 2
    twice = write_rows(tmp_path / "twice.jsonl", SUMS[:2] * 3)
    with pytest.raises(DataError, match="has 2 different prompts; at least 3"):
        data(twice)


def test_demonstrations_by_a_function(own: str) -> None:
    task = python(f"{own}:echo", demonstrations=f"{own}:show", reward={"type": "numeric"})
    assert task.train[1].demonstration == "The number is 1."
    assert task.heldout[0].demonstration == "The number is 4."
    assert learnable_by(task) == LANGUAGE.names
    sums = gym(demonstrations=f"{own}:show")
    assert sums.train[0].demonstration == f"The number is {sums.train[0].answer}."
    with pytest.raises(ConfigError, match="show_nothing' returned NoneType; it must return text"):
        python(f"{own}:echo", demonstrations=f"{own}:show_nothing")


def test_numeric_answers_must_hold_a_number(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"question": str(a), "answer": "none"} for a in range(12)])
    with pytest.raises(DataError, match="reward 'numeric' finds no number in the answer 'none'"):
        data(path, reward={"type": "numeric"})


def test_rows_without_a_readable_answer_may_be_left_out(tmp_path: Path) -> None:
    rows = [*SUMS, {"question": "odd", "answer": "none"}, {"question": "gap", "answer": ""}]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    task = data(path, reward={"type": "numeric"}, unreadable="leave_out", train=50)
    assert (len(task.train), len(task.heldout), task.left_out["unusable"]) == (9, 3, 2)
    exam = {"path": str(write_rows(tmp_path / "exam.jsonl", [{"question": f"{a}?", "answer": a} for a in "1x2"]))}
    task = data(path, reward={"type": "numeric"}, unreadable="leave_out", train=50, heldout=exam)
    assert (len(task.train), len(task.heldout), task.left_out["unusable"]) == (12, 2, 3)
