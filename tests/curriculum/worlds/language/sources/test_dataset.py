"""Items of a dataset: repeatable, chosen and exploded as the curriculum says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import DataError
from tests.curriculum.worlds.language.sources.building import MATCH, SUMS, data, write_rows


def test_the_same_seed_gives_the_same_items(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sums.jsonl", SUMS)
    copy = write_rows(tmp_path / "copy.json", SUMS)
    assert data(path).fingerprint() == data(path).fingerprint() == data(copy).fingerprint()
    assert data(path).fingerprint() != data(path, seed=1).fingerprint()
    assert data(path, train=2).heldout == data(path, train=9).heldout


def test_the_shape_of_tool_alpaca(tmp_path: Path) -> None:
    rows = [
        {
            "Name": name,
            "NLDocumentation": f"{name}One: does one. {name}Two: does two.",
            "Instructions": [f"do {which} with {name}, case {case}" for which in ("one", "two") for case in range(2)],
            "Golden_Answers": [
                [{"Action": f"{name}{which}", "Action_Input": '{"a": 1}'}] for which in ("One", "Two") for _ in range(2)
            ],
        }
        for name in ("cat", "dog", "eel")
    ]
    path = write_rows(tmp_path / "tools.json", rows)
    options: dict[str, Any] = {
        "explode": ["Instructions", "Golden_Answers"],
        "template": "{NLDocumentation}\n{Instructions}",
    }
    task = data(path, **options, columns={"answer": "Golden_Answers.0.Action"}, reward=MATCH, train=9)
    assert (len(task.train), len(task.heldout)) == (9, 3)  # 3 tools with 4 requests
    item = task.train[0]
    which, name = re.findall(r"do (\w+) with (\w+)", item.prompt[0]["content"])[0]
    assert item.answer == f"{name}{which.capitalize()}"
    whole = data(path, **options, columns={"answer": "Golden_Answers"}).train[0]
    assert json.loads(str(whole.answer))[0]["Action_Input"] == '{"a": 1}'  # lists and maps as JSON
    with pytest.raises(DataError, match="no column 'Instruction' to explode; did you mean 'Instructions'"):
        data(path, explode=["Instruction"], template="{Name}")
    with pytest.raises(DataError, match="'Name' must be lists of equal length"):
        data(path, explode=["Instructions", "Name"], template="{Name}")


def test_where_chooses_rows(tmp_path: Path) -> None:
    rows = [{**row, "details": {"level": f"L{number % 3}"}, "n": number} for number, row in enumerate(SUMS)]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    one = data(path, where={"details.level": "L1"})
    assert {item.columns["n"] % 3 for item in (*one.train, *one.heldout)} == {1}
    both = data(path, where={"details.level": ["L0", "L1"], "n": [0, 1, 2, 3]})
    assert sorted(item.columns["n"] for item in (*both.train, *both.heldout)) == [0, 1, 3]


def test_held_out_items_may_stand_in_a_file_of_another_layout(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sums.jsonl", SUMS)
    exam = [{"ask": f" {a}+1=? ", "gold": str(a + 1)} for a in range(8, 14)]
    own = {"path": str(write_rows(tmp_path / "exam.json", exam)), "columns": {"question": "ask", "answer": "gold"}}
    task = data(path, heldout=own, train=50, reward=MATCH)
    assert sorted(item.answer or "" for item in task.heldout) == sorted(row["gold"] for row in exam)  # all of them
    # 8+1 … 11+1 are examined, whatever blanks are around them
    assert {item.answer for item in task.train} == {str(a + 1) for a in range(8)}
    assert task.left_out["repeated"] == 4
    fewer = data(path, heldout=own | {"limit": 3}, train=50, reward=MATCH)
    assert fewer.heldout == task.heldout[:3]
    assert data(path, heldout=own, reward=MATCH, train=6).fingerprint() != data(path, reward=MATCH).fingerprint()
    with pytest.raises(DataError, match=r"`heldout`: dataset .*exam.json', .*: no column 'asks'; did you"):
        data(path, heldout=own | {"columns": {"question": "asks"}}, reward=MATCH)
    with pytest.raises(DataError, match="every prompt is also held out"):
        data(path, heldout={"path": str(write_rows(tmp_path / "same.jsonl", SUMS))})
    with pytest.raises(DataError, match=r"split 'train' has 1 different prompts; at least 2"):
        data(path, heldout={"path": str(write_rows(tmp_path / "one.jsonl", SUMS[:1]))})


def test_held_out_items_may_be_other_rows_of_the_file(tmp_path: Path) -> None:
    rows = [{**row, "part": "exam" if number % 3 == 0 else "learn"} for number, row in enumerate(SUMS)]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    task = data(path, where={"part": "learn"}, heldout={"where": {"part": "exam"}}, train=50)
    assert ({one.columns["part"] for one in task.train}, len(task.train)) == ({"learn"}, 8)
    assert ({one.columns["part"] for one in task.heldout}, len(task.heldout)) == ({"exam"}, 4)


def test_other_right_answers_are_another_task(tmp_path: Path) -> None:
    rows = [{"question": f"q {n}?", "all": [f"a{n}", f"b{n}"], "strict": [f"a{n}"]} for n in range(9)]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    both, one = (data(path, columns={"answer": name}, reward={"type": "exact_match"}) for name in ("all", "strict"))
    item = both.heldout[0]
    assert (item.answer, item.columns) == (one.heldout[0].answer, one.heldout[0].columns)
    said = [str(item.answers[1])]
    assert both.reward is not None and one.reward is not None
    assert (both.reward([item], said), one.reward(one.heldout[:1], said)) == ([1.0], [0.0])
    assert both.fingerprint() != one.fingerprint()
