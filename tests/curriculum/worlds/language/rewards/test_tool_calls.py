"""Calls of tools, read and compared: tables of cases derived by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import DataError
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.rewards.tool_calls import BROKEN, Call, expected_calls, made_calls
from perdure.curriculum.worlds.language.text_source import RewardConfig
from tests.curriculum.worlds.language.sources.building import data, write_rows

ADD, SHOW = {"name": "add", "arguments": {"a": 1, "b": [2, 3]}}, {"name": "show", "arguments": {}}


def tagged(*calls: Any) -> str:
    return "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)


def score(answer: Any, response: str, **config: Any) -> float | None:
    reward = build_reward(RewardConfig(type="tool_calls", timeout=0, **config))
    return reward([Item("?", answer=json.dumps(answer))], [response])[0]


@pytest.mark.parametrize(
    "response",
    [
        tagged(ADD),
        f"I add.\n{tagged(ADD)}",
        json.dumps(ADD),
        json.dumps([ADD]),
        f"```json\n{json.dumps(ADD, indent=2)}\n```",
        '<answer>{"function": {"name": "add", "arguments": "{\\"b\\": [2, 3], \\"a\\": 1.0}"}}</answer>',
        'Thought: so\nAction: add\nAction Input: {"b": [2, 3], "a": 1}\nObservation: 3',
        'so\nASSISTANT Action: add\nASSISTANT Action Input: {"b": [2, 3], "a": 1}',
        '[TOOL_CALLS] [{"name": "add", "parameters": {"a": 1, "b": [2, 3]}}]',
    ],
)
def test_a_call_is_read_however_it_is_written(response: str) -> None:
    assert made_calls(response) == [Call("add", {"a": 1, "b": [2, 3]})]
    assert score([ADD], response) == 1.0


@pytest.mark.parametrize(
    ("response", "made"),
    [
        ("I cannot.", []),
        ("<tool_call>{broken", [BROKEN]),
        ("Action: add\nAction Input: one and two", [BROKEN]),
        (
            'Action: show\nAction Input: \nAction: add\nAction Input: {"a": 1}',
            [Call("show", {}), Call("add", {"a": 1})],
        ),
        ("[" * 100_000, []),
        ('{"name": 3}', []),
    ],
)
def test_what_is_no_call_is_none_and_a_broken_one_counts(response: str, made: list[Call]) -> None:
    assert made_calls(response) == made
    assert score([ADD], response) == 0.0


@pytest.mark.parametrize(
    ("expected", "made", "right"),
    [
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, True),
        ({"a": "two  words"}, {"a": "two words"}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": 1}, {}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": None}, {"a": None}, True),
        ({"a": "${id from search}"}, {"a": 17}, True),
        ({"a": "${id from search}"}, {}, False),
        ({"a": "Rome"}, {"a": "rome"}, False),
    ],
)
def test_arguments_are_compared_as_data(expected: Any, made: Any, right: bool) -> None:
    assert score({"name": "f", "arguments": expected}, tagged({"name": "f", "arguments": made})) == float(right)


def test_the_order_of_calls_counts_unless_it_is_said_that_it_does_not() -> None:
    assert score([ADD, SHOW], tagged(SHOW, ADD)) == 0.0
    assert score([ADD, SHOW], tagged(SHOW, ADD), in_order=False) == 1.0
    assert score([ADD, ADD], tagged(ADD), in_order=False) == 0.0
    assert score(
        {"name": "f", "arguments": {"a": "Rome"}}, '{"name": "f", "arguments": {"a": "rome"}}', ignore_case=True
    )


def test_partial_credit_is_the_share_of_calls_and_arguments() -> None:
    # a right, b wrong: (1 + 1) / (1 + 2); of two calls one is missing: divided by 2
    half = {"name": "add", "arguments": {"a": 1, "b": 0}}
    assert score([ADD], tagged(half), partial=True) == pytest.approx(2 / 3)
    assert score([ADD, SHOW], tagged(half), partial=True) == pytest.approx(1 / 3)
    # an argument too many: (1 + 2) / (1 + 3); a call too many: divided by 2
    more = {"name": "add", "arguments": {**ADD["arguments"], "c": 1}}  # type: ignore[dict-item]
    assert score([ADD], tagged(more, SHOW), partial=True) == pytest.approx(3 / 8)
    # crossed pairs cannot both count in order
    assert score([ADD, SHOW], tagged(SHOW, ADD), partial=True) == 0.5
    assert score([ADD, SHOW], tagged(SHOW, ADD), partial=True, in_order=False) == 1.0
    assert score([ADD], tagged(SHOW), partial=True) == 0.0
    assert score([], "Nothing to call.") == 1.0
    assert score([], tagged(SHOW)) == 0.0


def test_an_answer_that_says_no_calls_has_no_score() -> None:
    assert expected_calls("Paris") is None
    assert score("Paris", tagged(ADD)) is None
    for key in ("in_order", "partial"):
        with pytest.raises(ValueError, match=f"`{key}` goes with `type: tool_calls`"):
            RewardConfig(type="numeric", **{key: key == "partial"})


def test_the_calls_of_a_demonstrated_turn_are_the_answer(tmp_path: Path) -> None:
    call = {"type": "function", "function": ADD}
    turn = {"role": "assistant", "content": "", "tool_calls": [call]}
    rows = [{"messages": [{"role": "user", "content": f"u{n}"}, turn]} for n in range(9)]
    reward = {"type": "tool_calls"}
    task = data(write_rows(tmp_path / "a.jsonl", rows), reward=reward)
    assert task.reward is not None
    assert task.reward(task.train[:2], [tagged(ADD), "no"]) == [1.0, 0.0]
    golds = [{"question": f"u{n}", "answer": [{"Action": "add", "Action_Input": '{"a": 1}'}]} for n in range(9)]
    task = data(write_rows(tmp_path / "b.jsonl", golds), reward=reward)
    assert task.reward is not None
    assert task.reward(task.train[:1], ['{"name": "add", "arguments": {"a": 1}}']) == [1.0]
    with pytest.raises(DataError, match="reward 'tool_calls' finds no calls of tools in the answer '1'"):
        data(write_rows(tmp_path / "c.jsonl", [{"question": f"u{n}", "answer": "1"} for n in range(9)]), reward=reward)
