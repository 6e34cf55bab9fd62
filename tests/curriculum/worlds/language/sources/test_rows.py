"""From rows to items, and one clear error for every way in which data is not as the curriculum says.

The samples are made up here in the shapes of SciKnowEval and MATH-500.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import DataError
from tests.curriculum.worlds.language.sources.building import MATCH, SUMS, data, write_rows


def test_prompt_and_completion_columns(tmp_path: Path) -> None:
    rows = [{"prompt": f"say {a}", "completion": f"I say {a}", "label": str(a)} for a in range(12)]
    task = data(write_rows(tmp_path / "rows.jsonl", rows), columns={"answer": "label"}, chat=False)
    item = task.train[0]
    assert item.prompt == f"say {item.answer}"
    assert item.demonstration == f"I say {item.answer}"
    assert item.columns == {"label": item.answer}


def test_conversations(tmp_path: Path) -> None:
    rows = [
        {
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": f"Double {a}"},
                {"role": "assistant", "content": str(2 * a)},
            ]
        }
        for a in range(12)
    ]
    item = data(write_rows(tmp_path / "rows.jsonl", rows), reward=MATCH).train[0]
    assert [message["role"] for message in item.prompt] == ["system", "user"]
    assert item.demonstration == item.answer == str(2 * int(item.prompt[1]["content"].removeprefix("Double ")))


def test_chat_prompt_with_chat_completion(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": f"Double {a}"}],
            "completion": [{"role": "assistant", "content": str(2 * a)}],
        }
        for a in range(12)
    ]
    item = data(write_rows(tmp_path / "rows.jsonl", rows)).train[0]
    assert item.demonstration == str(2 * int(item.prompt[0]["content"].removeprefix("Double ")))


def test_the_shape_of_sciknoweval(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": {"default": "Choose."},
            "question": f"Which is {a}?",
            "choices": {"text": [str(a + 1), str(a), str(a + 2), "none"], "label": ["A", "B", "C", "D"]},
            "answerKey": "B",
            "answer": "",
        }
        for a in range(12)
    ]
    path = write_rows(tmp_path / "chem.jsonl", rows)
    mapping = {"answer": "answerKey", "choices": "choices"}
    task = data(
        path,
        template="{prompt.default}\n{question}\n{choices}\n{{}}",
        columns=mapping,
        reward={"type": "multiple_choice"},
    )
    item = task.train[0]
    text = item.prompt[0]["content"]
    a = int(re.findall(r"\d+", text)[0])
    assert text == f"Choose.\nWhich is {a}?\nA) {a + 1}\nB) {a}\nC) {a + 2}\nD) none\n{{}}"
    assert item.answer == item.demonstration == "B"
    assert task.reward is not None
    assert task.reward([item] * 3, ["(B)", str(a), "D"]) == [1.0, 1.0, 0.0]
    with_system = data(path, columns={**mapping, "question": "question", "system": "prompt.default"}).train[0]
    assert with_system.prompt[0] == {"role": "system", "content": "Choose."}
    with pytest.raises(
        DataError, match=r"column 'prompt' holds a map, not text; reach inside with a dot, one of default"
    ):
        data(path)
    with pytest.raises(DataError, match=r"no column 'defualt' in 'prompt'; did you mean 'default'"):
        data(path, columns={"prompt": "prompt.defualt"})


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["p", "q", "r"], 1),  # a place, from 0
        (["p", "q", "r"], "q"),  # the text
        ({"text": ["p", "q", "r"], "label": ["1", "2", "3"]}, "2"),  # a label that is no letter
        ({"text": ["p", "q", "r"], "label": ["A", "B", "C"]}, "B"),
    ],
)
def test_answers_to_multiple_choice_become_letters(tmp_path: Path, choices: Any, answer: Any) -> None:
    rows = [{"question": f"{a}?", "choices": choices, "gold": answer} for a in range(12)]
    task = data(write_rows(tmp_path / "mc.json", rows), columns={"answer": "gold"}, reward={"type": "multiple_choice"})
    assert {item.answer for item in task.train} == {"B"}


def test_the_shape_of_math_500(tmp_path: Path) -> None:
    rows = [
        {"prompt": [{"from": "user", "value": f"Halve {a}."}], "final_answer": rf"\frac{{{a}}}{{2}}"} for a in range(12)
    ]
    path = write_rows(tmp_path / "math.json", rows)
    inside = data(path, columns={"prompt": "prompt.0.value", "answer": "final_answer"}, reward={"type": "math_verify"})
    as_messages = data(path, columns={"answer": "final_answer"}, reward={"type": "math_verify"})
    assert inside.fingerprint() == as_messages.fingerprint()
    item = inside.train[0]
    a = int(re.findall(r"\d+", item.prompt[0]["content"])[0])
    assert inside.reward is not None
    assert inside.reward([item] * 2, [rf"It is ${a}/2$.", rf"It is $({a}+1)/2$."]) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"columns": {"question": "quesiton"}}, "no column 'quesiton'; did you mean 'question'"),
        ({"columns": {"answer": "solution"}}, r"no column 'solution'.* \(there are question, answer, n, empty, chat\)"),
        ({"template": "{qestion}"}, "`template`: no column 'qestion'; did you mean 'question'"),
        ({"columns": {"question": "n"}}, "column 'n' holds a number, not text"),
        ({"columns": {"messages": "chat"}}, "column 'chat': a message needs `role` and `content`"),
        ({"columns": {"messages": "question"}}, "column 'question' holds text, not a list of chat messages"),
        ({"columns": {"question": "empty"}}, "column 'empty' is empty"),
        ({"columns": {"answer": "empty"}}, "column 'empty' is empty, and `columns.answer` names it"),
        ({"columns": {"choices": "n"}}, "column 'n' is no list of up to 10 options"),
        (
            {"columns": {"answer": "question"}, "reward": {"type": "multiple_choice"}},
            "finds no option's letter or text",
        ),
        ({"heldout_split": "test"}, "`heldout_split` goes with a folder or a hub id"),
        ({"data_files": "rows.jsonl"}, "`data_files` goes with a folder or a hub id"),
        ({"where": {"n": 99}}, "no row is as `where` says; in the rows n is 0, 1, 10, 11, 2"),
        ({"where": {"m": 99}}, r"`where`: no column 'm'"),
    ],
)
def test_data_that_is_not_as_the_file_says(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    rows = [{**row, "n": number, "empty": "", "chat": [{"who": "me"}]} for number, row in enumerate(SUMS)]
    with pytest.raises(DataError, match=message):
        data(write_rows(tmp_path / "rows.jsonl", rows), **more)


def test_a_dataset_without_a_prompt(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"text": str(a)} for a in range(12)])
    with pytest.raises(DataError, match=r"no column `prompt`, `question` or `messages`: .* there are text"):
        data(path)
