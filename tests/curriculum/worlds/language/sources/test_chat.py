"""Chat messages of data files: nothing that they say is dropped, and weights decide what is learned."""

from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.language.sources.chat import read_messages, split
from tests.curriculum.worlds.language.sources.building import data, write_rows

FUNCTION = {"name": "add", "arguments": {"a": 1}}
CALL = {"type": "function", "function": FUNCTION}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]


def user(text: str = "u", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def said(text: str = "a", **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


@pytest.mark.parametrize(
    ("message", "read"),
    [
        (said(None, tool_calls=[{**CALL, "id": "1"}]), said("", tool_calls=[{**CALL, "id": "1"}])),
        (
            said(tool_calls=[{"function": {"name": "add", "arguments": '{"a": 1}'}}]),
            said(tool_calls=[{"function": FUNCTION}]),
        ),
        ({"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'}, said("", tool_calls=[CALL])),
        ({"from": "observation", "value": "1"}, {"role": "tool", "content": "1"}),
        ({"role": "tool", "content": "1", "name": "add", "tool_call_id": "1"},) * 2,
        (said(reasoning_content="r", thinking="t"),) * 2,
        (said(tool_calls=None, name=None), said()),
        (user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), user("ab")),
        (user(seen=1.5), user(seen=1.5)),
        ({"from": "gpt", "value": "x", "id": 3}, said("x", id=3)),
    ],
)
def test_every_key_is_read(message: Any, read: Any) -> None:
    assert read_messages([message], "here") == [read]


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        (user([{"type": "image", "url": "x"}]), "here, message 1 has a content part of type 'image'"),
        (user(None), "message 1: a message needs `role` and `content`"),
        (user(None, name="x"), "message 1: a message needs `role` and `content`"),
        (said(3), "message 1: a message needs `role` and `content`"),
        (said(tool_calls=[3]), "message 1: a call of a tool needs a `name`"),
        (said(tool_calls=[{"name": "add", "arguments": "a=1"}]), "`arguments` of a call of 'add' are not JSON"),
        ({"from": "function_call", "value": "add(1)"}, "its call:1:1: this is not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused(message: Any, refused: str) -> None:
    with pytest.raises(DataError, match=refused):
        read_messages([message], "here")


@pytest.mark.parametrize(
    ("weights", "prompt", "answer", "learned"),
    [
        ((None, None), 3, 3, True),
        ((0, None), 3, 3, True),
        ((0, 1), 3, 3, True),
        ((1, 0), 1, 1, True),  # what stands after the turn that is learned has no part in it
        ((None, 0), 3, 3, False),
        ((0, 0), 3, 3, False),
    ],
)
def test_weights_say_which_turn_is_learned(weights: Any, prompt: int, answer: int, learned: bool) -> None:
    plain = [user("u1"), said("a1"), user("u2"), said("a2")]
    given = [dict(one) for one in plain]
    for place, weight in zip((1, 3), weights, strict=True):
        given[place] |= {} if weight is None else {"weight": weight}
    found = split(given, "here")
    assert (found.prompt, found.answer, found.learned) == (plain[:prompt], plain[answer], learned)


@pytest.mark.parametrize(
    ("messages", "refused"),
    [
        ([user(), said(weight=1), user(), said()], "message 2 has `weight: 1`, and only the last turn"),
        ([user(weight=1), said()], "message 1 has `weight: 1`, and only the last turn"),
        ([user(), said(weight=0.5)], "message 2 has `weight: 0.5`; a turn is learned"),
        ([said()], "hold an answer and nothing before it"),
    ],
)
def test_weights_that_cannot_be_kept_are_refused(messages: Any, refused: str) -> None:
    with pytest.raises(DataError, match=refused):
        split(messages, "here")


def rows(number: int, *answer: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"messages": [user(f"u{n}", hour=n), *answer], **more} for n in range(number)]


def test_what_is_beside_the_text_goes_with_prompt_and_demonstration(tmp_path: Path) -> None:
    called = said("", tool_calls=[CALL])
    item = data(write_rows(tmp_path / "a.jsonl", rows(9, called, tools=TOOLS))).train[0]
    assert item.prompt == [{**user(item.prompt[0]["content"]), "hour": item.prompt[0]["hour"], "tools": TOOLS}]
    assert (item.answer, item.demonstration, item.turn) == (None, "", {"tool_calls": [CALL]})
    as_text = data(write_rows(tmp_path / "b.jsonl", rows(9, called, tools=str(TOOLS).replace("'", '"')))).train[0]
    assert as_text.prompt == item.prompt
    left = data(tmp_path / "a.jsonl", ignore_keys=["hour", "tools", "tool_calls"]).train[0]
    assert left.prompt == [user(left.prompt[0]["content"])]
    unlearned = data(write_rows(tmp_path / "c.jsonl", rows(9, said("x", weight=0)))).train[0]
    assert (unlearned.answer, unlearned.demonstration) == ("x", None)
    with pytest.raises(DataError, match=r"column 'tools', as JSON:1:1: this is not JSON"):
        data(write_rows(tmp_path / "d.jsonl", rows(9, said(), tools="hammer")))
    several = [
        {"prompt": [user(f"u{n}")], "completion": [called, {"role": "tool", "content": "1"}, said()]} for n in range(9)
    ]
    with pytest.raises(DataError, match="the answer to learn is one turn of the assistant"):
        data(write_rows(tmp_path / "e.jsonl", several))
