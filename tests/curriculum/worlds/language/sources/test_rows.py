"""From rows to items, and one clear error for every way in which data is not as the curriculum says.

The samples are made up here in the shapes of SciKnowEval and MATH-500.
"""

import json
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


PQR = ["p", "q", "r"]


def chosen(path: Path, choices: Any, golds: list[Any], **more: Any) -> list[str]:
    """The letters of the answers in the order of `golds`, which repeat over twelve rows."""
    rows = [{"question": f"{a}?", "choices": choices, "gold": golds[a % len(golds)]} for a in range(12)]
    reward = {"reward": {"type": "multiple_choice"}}
    task = data(write_rows(path / "mc.json", rows), columns={"answer": "gold"}, train=9, **(reward | more))
    found = {int(item.prompt[0]["content"][:-1]) % len(golds): item.answer for item in (*task.train, *task.heldout)}
    return [str(found[place]) for place in range(len(golds))]


@pytest.mark.parametrize(
    ("choices", "golds", "more", "letters"),
    [
        (PQR, ["q", "r"], {}, ["B", "C"]),  # the text
        (PQR, ["B", "a"], {}, ["B", "A"]),
        (PQR, [0, 1], {}, ["A", "B"]),  # none is below 0, so they begin there
        (PQR, ["1", "3"], {}, ["A", "C"]),  # three options have no fourth, so they begin at 1
        (PQR, [1, 2], {"answer_is": "index", "first_index": 0}, ["B", "C"]),
        (PQR, [1, 2], {"answer_is": "index", "first_index": 1}, ["A", "B"]),
        (["B", "A"], ["B", "A"], {"answer_is": "text"}, ["A", "B"]),
        (["B", "A"], ["B", "A"], {"answer_is": "letter"}, ["B", "A"]),
        (["1", "0"], [0, 1], {}, ["A", "B"]),  # a number is an index, also where a text is like it
        ({"text": PQR, "label": ["1", "2", "3"]}, ["2"], {}, ["B"]),  # a label that is no letter
        ({"text": PQR, "label": ["A", "B", "C"]}, ["B"], {}, ["B"]),
        (PQR, [1, 2], {"answer_is": "index", "first_index": 0, "reward": None}, ["B", "C"]),
    ],
)
def test_answers_to_multiple_choice_become_letters(
    tmp_path: Path, choices: Any, golds: list[Any], more: Any, letters: list[str]
) -> None:
    assert chosen(tmp_path, choices, golds, **more) == letters


@pytest.mark.parametrize(
    ("choices", "golds", "more", "message"),
    [
        (
            PQR,
            [1, 2],
            {},
            r"can be read in 2 ways: .*first_index: 0` makes it '[qr]', .*first_index: 1` makes it '[pq]'",
        ),
        (PQR, [1, 2], {"answer_is": "index"}, "say which"),
        (["B", "A"], ["B"], {}, r"'B' can be read in 2 ways: `answer_is: text` .* 'B', `answer_is: letter` .* 'A'"),
        (["2", "3", "1"], ["1", "2"], {}, "can be read in 3 ways: `answer_is: text`"),
        (PQR, [0, 3], {}, r"'3' is no option of p, q, r when read by `answer_is: index`"),
        (PQR, ["q", "s"], {}, r"'s' is no option of p, q, r when read by `answer_is: text`, by which 6 of 12"),
        (PQR, [0, 1], {"answer_is": "letter"}, "when read by `answer_is: letter`, by which 0 of 12"),
    ],
)
def test_an_answer_that_can_be_read_otherwise_is_not_guessed(
    tmp_path: Path, choices: Any, golds: list[Any], more: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        chosen(tmp_path, choices, golds, **more)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_any_of_several_golds_is_right(suffix: str, tmp_path: Path, own: str) -> None:
    rows = [{"question": f"{a}?", "answer": [f"{a}", f"{a}.5", "x"]} for a in range(12)]
    path = write_rows(tmp_path / f"rows{suffix}", rows)
    for name, answer, texts in (
        ("exact_match", "x", ["x", "{a}", "{a}.5", "['x']"]),
        ("numeric", "{a}.5", ["{a}", "is {a}.5", "{a}.50", "1e6"]),
        ("math_verify", "{a}", ["${a}$", "{a}.5", "x", "1000001"]),
        ("regex", "x", ["<{a}>", "<x>", "<{a}.5>", "<y>"]),
    ):
        reward = {"type": name} | ({"pattern": "<(.*)>"} if name == "regex" else {})
        task = data(path, reward=reward)
        item = task.train[0]
        first = item.prompt[0]["content"][:-1]
        assert (item.answer, item.demonstration) == (first, first), answer
        assert item.right == (first, f"{first}.5", "x")
        assert task.reward is not None
        assert task.reward([item] * 4, [text.format(a=first) for text in texts]) == [1.0, 1.0, 1.0, 0.0]
    task = data(path, reward={"path": f"{own}:several"})
    assert task.reward is not None
    assert task.reward(task.train[:2], ["", ""]) == [3.0, 3.0]  # the column as it is
    letters = [{"question": f"{a}?", "choices": PQR, "answer": ["p", "r"]} for a in range(12)]
    task = data(write_rows(tmp_path / f"mc{suffix}", letters), reward={"type": "multiple_choice"})
    assert task.reward is not None
    assert task.reward([task.train[0]] * 3, ["A", "B", "(C)"]) == [1.0, 0.0, 1.0]


def test_answers_are_checked_against_something_else(tmp_path: Path) -> None:
    rows = [{"question": f"{a}?", "answer": str(a), "completion": f"Let me see: {a}"} for a in range(12)]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    assert data(path, reward={"type": "numeric"}).train[0].demonstration is not None
    with pytest.raises(DataError, match=r"none of 9 demonstrations is right by reward 'exact_match', such as 'Let me"):
        data(path, reward=MATCH)
    prose = [{"question": f"{a}?", "answer": "see\nthe solution"} for a in range(12)]
    with pytest.raises(DataError, match=r"reward 'math_verify' finds no mathematics in the answer 'see"):
        data(write_rows(tmp_path / "prose.jsonl", prose), reward={"type": "math_verify"})


def test_the_shape_of_open_reasoner_zero(tmp_path: Path) -> None:
    rows = [
        [
            {"from": "human", "value": f"Halve {a}."},
            {"from": "assistant", "ground_truth": {"value": rf"\frac{{{a}}}{{2}}"}},
        ]
        for a in range(12)
    ]
    (tmp_path / "orz.json").write_text(json.dumps(rows, indent=1))
    (tmp_path / "orz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"question": "0.value", "answer": "1.ground_truth.value"}
    one, other = (data(tmp_path / name, columns=columns, train=9) for name in ("orz.json", "orz.jsonl"))
    assert one.fingerprint() == other.fingerprint()
    item = one.train[0]
    assert item.answer == rf"\frac{{{re.findall(r'[0-9]+', item.prompt[0]['content'])[0]}}}{{2}}"
    assert (len(one.train), item.prompt[0]["role"]) == (9, "user")


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
        ({"columns": {"messages": "chat"}}, "column 'chat', message 1: a message needs `role` and `content`"),
        ({"columns": {"messages": "question"}}, "column 'question' holds text, not a list of chat messages"),
        ({"columns": {"question": "empty"}}, "column 'empty' is empty"),
        ({"columns": {"answer": "empty"}}, "column 'empty' is empty, and `columns.answer` names it"),
        ({"columns": {"choices": "n"}}, "column 'n' is no list of up to 10 options"),
        (
            {"columns": {"answer": "question"}, "reward": {"type": "multiple_choice"}},
            "finds no option's letter or text",
        ),
        ({"heldout": {"split": "test"}}, "`heldout.split` goes with a folder or a hub id"),
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


def test_a_system_cell_is_a_turn_in_front_or_none(tmp_path: Path) -> None:
    cells = ["Be short.", "", "  ", None]
    turns = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]
    rows = [
        {"messages": [{**turns[0], "content": f"u{n}"}, turns[1]], "q": f"u{n}", "s": cells[n % 4]} for n in range(12)
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    for prompt in ({}, {"prompt": "q"}):
        task = data(path, columns={"system": "s", **prompt}, train=10, heldout=2)
        for item in (*task.train, *task.heldout):
            number = int(item.prompt[-1]["content"][1:])
            roles = [message["role"] for message in item.prompt]
            assert roles == (["system", "user"] if number % 4 == 0 else ["user"])
    for row in rows:
        row["messages"] = [{"role": "system", "content": "Be long."}, *row["messages"]]
    with pytest.raises(DataError, match=r"begin with a system turn, and `columns.system` gives another one"):
        data(write_rows(tmp_path / "two.jsonl", rows), columns={"system": "s"}, train=10, heldout=2)
