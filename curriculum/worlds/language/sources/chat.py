"""Chat messages as a source writes them, as chat templates take them: `{role, content}` and whatever else they have.

Nothing is dropped here but what says nothing (null, an empty list) and what the user names. Keys that no chat template
of the model writes are refused once the model is there (`agent/worlds/language/conversations.py`).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from perdure.budget.errors import DataError
from perdure.budget.json_lines import plain, read_json
from perdure.curriculum.task import Message, Messages

ROLES = {
    **{"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant"},
    **{"observation": "tool", "tool_response": "tool", "function_response": "tool"},
}
"""ShareGPT's name: that of chat templates."""
MAX_CHARACTERS = 200_000
"""Of one prompt or answer."""
CALL_ROLES = ("function_call", "tool_call")
"""Roles of ShareGPT whose text is a call of a tool, as JSON."""


@dataclass(frozen=True)
class Conversation:
    """A prompt (messages, or text) and the assistant's turn after it; `learned` is false where its weight is 0."""

    prompt: Any
    answer: Message | None = None
    learned: bool = True


def read_messages(value: Any, place: str, ignored: Collection[str] = ()) -> Messages:
    """Chat messages, also from ShareGPT's `{from, value}`; keys that are `ignored` are left out.

    Raises:
        DataError: no list of messages, one without role and text, parts that are no text, or a call that is no JSON.
    """
    if not isinstance(value, list) or not value:
        raise DataError(f"{place} holds {kind(value)}, not a list of chat messages")
    return [_message(one, f"{place}, message {number}", ignored) for number, one in enumerate(value, 1)]


def read_prompt(value: Any, place: str) -> Any:
    """A prompt that is text or chat messages.

    Raises:
        DataError: anything else, an empty text, or one that is too long.
    """
    if isinstance(value, list):
        prompt: Any = without_weights(read_messages(value, place), place)
    elif isinstance(value, str) and value.strip():
        prompt = value
    else:
        held = "an empty text" if isinstance(value, str) else kind(value)
        raise DataError(f"{place} holds {held}; a prompt is text or a list of chat messages")
    check_length(prompt, place)
    return prompt


def check_length(said: Any, place: str) -> None:
    """Refuse a text, or messages, of more than `MAX_CHARACTERS`.

    Raises:
        DataError: says how many there are.
    """
    length = len(said) if isinstance(said, str) else sum(len(one["content"]) for one in said)
    if length > MAX_CHARACTERS:
        raise DataError(
            f"{place} has {length:,} characters, and at most {MAX_CHARACTERS:,} are read, since attention over so long "
            "a text takes hours; shorten it, or leave the row out"
        )


def read_tools(value: Any, place: str) -> list[Any]:
    """The tools that a chat template is given: a list of maps, or its JSON; none where the cell is empty.

    Raises:
        DataError: anything else.
    """
    if isinstance(value, str) and value.strip():
        value = plain(read_json(value.encode(), f"{place}, as JSON"))
    if value is None or value in ("", [], {}):
        return []
    if not isinstance(value, list) or not all(isinstance(tool, Mapping) for tool in value):
        raise DataError(
            f"{place} holds {kind(value)}, not a list of tools as chat templates take them; name it in `ignore_keys` "
            "if it means something else"
        )
    return plain(value)  # type: ignore[no-any-return]


def split(messages: Messages, place: str) -> Conversation:
    """The prompt and the assistant's turn that is learned: the last one, or the last whose `weight` is not 0.

    What stands after the learned turn has no part in it. Where every weight is 0 the last turn is kept as an answer,
    and not learned.

    Raises:
        DataError: nothing before the answer, a weight that is not 0 or 1, or 1 on a turn that is not learned.
    """
    last = len(messages) - 1 if messages[-1]["role"] == "assistant" else None
    weighted = [
        number
        for number, message in enumerate(messages)
        if message["role"] == "assistant" and message.get("weight", int(number == last)) == 1
    ]
    learned = weighted[-1] if last is not None and weighted else None
    turns = without_weights(messages, place, learned)
    end = learned if learned is not None else last
    if end is None:
        return Conversation(turns)
    if end == 0:
        raise DataError(f"{place}: the messages hold an answer and nothing before it")
    return Conversation(turns[:end], turns[end], learned is not None)


def without_weights(messages: Messages, place: str, learned: int | None = None) -> Messages:
    """The messages without `weight`; `learned` is the number of the turn that may have 1.

    Raises:
        DataError: see `split`.
    """
    return [
        _without_weight(one, number == learned, f"{place}, message {number + 1}") for number, one in enumerate(messages)
    ]


def _without_weight(message: Message, learned: bool, place: str) -> Message:
    weight = message.get("weight", 0)
    if isinstance(weight, bool) or weight not in (0, 1):
        raise DataError(f"{place} has `weight: {weight}`; a turn is learned (1) or not (0)")
    if weight == 1 and not learned:
        raise DataError(
            f"{place} has `weight: 1`, and only the last turn of the assistant is learned; give it a row of its own "
            "that ends there, or weight 0, or name `weight` in `ignore_keys`"
        )
    return {key: value for key, value in message.items() if key != "weight"}


def _message(message: Any, place: str, ignored: Collection[str]) -> Message:
    pair = message if isinstance(message, Mapping) else {}
    rest = {key: plain(value) for key, value in pair.items() if key not in ignored and not _says_nothing(value)}
    role = rest.pop("role") if "role" in rest else rest.pop("from", None)
    content = rest.pop("content") if "content" in rest else rest.pop("value", None)
    content = _joined(content, place) if isinstance(content, list) else content
    if role in CALL_ROLES and isinstance(content, str):
        role, content, rest["tool_calls"] = "assistant", "", _calls(content, place)
    elif "tool_calls" in rest:
        content, rest["tool_calls"] = content or "", [_call(one, place) for one in _listed(rest["tool_calls"])]
    if (
        not isinstance(role, str)
        or not isinstance(content or "", str)
        or (content is None and not (rest and role == "assistant"))
    ):
        raise DataError(f"{place}: a message needs `role` and `content` (or `from` and `value`), both text")
    return {"role": ROLES.get(role, role), "content": content or "", **rest}


def _says_nothing(value: Any) -> bool:
    return value is None or value in ([], {})


def _joined(parts: list[Any], place: str) -> str:
    """The text of content parts, one after another."""
    for part in parts:
        if not isinstance(part, Mapping) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            sort = f"of type {part.get('type')!r}" if isinstance(part, Mapping) else "without a type"
            raise DataError(f"{place} has a content part {sort}; models here read text alone, `type: text`")
    return "".join(part["text"] for part in parts)


def _calls(text: str, place: str) -> list[Any]:
    return [_call(one, place) for one in _listed(plain(read_json(text.encode(), f"{place}, its call")))]


def _call(call: Any, place: str) -> dict[str, Any]:
    """A call as chat templates take it: `{type: function, function: {name, arguments}}`, its arguments a map."""
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise DataError(f"{place}: a call of a tool needs a `name`, and `arguments`")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            raise DataError(f"{place}: the `arguments` of a call of {function['name']!r} are not JSON") from None
    around = call if "function" in call else {"type": "function"}
    return {**around, "function": {**function, "arguments": arguments}}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def kind(value: Any) -> str:
    """The kind of a cell's value, in words."""
    kinds = {dict: "a map", list: "a list", int: "a number", float: "a number", bool: "true or false", str: "text"}
    if value is None or value == []:
        return "nothing" if value is None else "an empty list"
    return "a number" if isinstance(value, float) else kinds.get(type(value), type(value).__name__)
