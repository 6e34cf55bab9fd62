"""ToolAlpaca's files (arXiv 2306.05301): an API's functions, and requests with the calls that answer them.

Both layouts are read: the training file's `Instances` with their `intermediate_steps`, and the evaluation files'
`Instructions` with `Golden_Answers`. Functions become the `tools` of the first message, calls a turn's `tool_calls`,
and observations turns of role `tool`, all as chat templates take them.

Departures: ToolAlpaca writes thoughts and calls into one prompt of text. Its question to the user, `getDetails`, is no
function of the API and its text is free: an instance that has it in place of a call is left out, as are instances
without calls, with calls of functions that the API does not have, and with arguments that are no JSON object. Of an
instance's steps one that the API answered with an error is a step like any other.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from perdure.budget.errors import DataError
from perdure.budget.json_lines import plain
from perdure.curriculum.task import UNUSABLE, Item, Message, Task
from perdure.curriculum.worlds.cells import digest
from perdure.curriculum.worlds.hub import fetch
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.rewards.tool_calls import ANY_VALUE
from perdure.curriculum.worlds.language.sources.common import Exam, check_answers, shared_out
from perdure.curriculum.worlds.language.tasks import ToolAlpaca
from perdure.curriculum.worlds.language.text_source import RewardConfig

_PARAMETERS = re.compile(r"\A(.*?)\s*^Parameters:\s*(\{.*\})\s*^(Output:.*)\Z", re.DOTALL | re.MULTILINE)
_KIND = re.compile(r"\A(Required\. )?(Array\[)?(string|integer|number|boolean|Object)\b\]?[.,]?\s*(.*)\Z", re.DOTALL)
_BARE_VALUE = re.compile(r"""(?<!["'\w])(\$\{[^{}"]*\})(?!["'\w])""")


@dataclass(frozen=True)
class Step:
    """One call, and what the API said to it (`None` where the file does not tell)."""

    name: str
    arguments: Mapping[str, Any]
    observation: str | None = None

    @property
    def turn(self) -> list[Any]:
        """The call as a turn's `tool_calls`."""
        return [{"type": "function", "function": {"name": self.name, "arguments": dict(self.arguments)}}]


def load(
    config: ToolAlpaca,
    *,
    name: str,
    seed: int,
    origin: Path | None = None,
    examined: frozenset[str] = frozenset(),
) -> Task:
    """Items in shuffled order, and held-out items from a file of their own or cut from the same.

    Raises:
        DataError: a file that is missing or of another layout; too few instances.
    """
    where = f"task {name!r}: {config.path!r}"
    left_out: Counter[str] = Counter()
    items = _items(config, config.path, where, origin, seed, left_out)
    if config.unreadable == "leave_out":
        items = _imitable(items, left_out)
    exam: int | Exam
    if isinstance(config.heldout, int):
        exam = config.heldout
    else:
        other = f"task {name!r}, `heldout`: {config.heldout.path!r}"
        found = _items(config, config.heldout.path, other, origin, seed, left_out)
        exam = Exam(found, config.heldout.limit, other)
    train, heldout = shared_out(items, exam, train=config.train, where=where, left_out=left_out, examined=examined)
    own = config.reward is None or config.reward.type == "source"
    reward = RewardConfig(type="tool_calls") if own or config.reward is None else config.reward
    task = Task(name, train, heldout, build_reward(reward), left_out)
    check_answers(task, reward.type, where)
    return task


def _items(
    config: ToolAlpaca, path: str, where: str, origin: Path | None, seed: int, left_out: Counter[str]
) -> Iterator[Item]:
    rows = fetch(path, where, origin).rows("train")
    asked = []
    for number in range(len(rows)):
        usable, unusable = read_api(rows[number], f"{where}, {rows.place(number)}", config.steps)
        asked += usable
        left_out[UNUSABLE] += unusable
    Random(f"tool_alpaca/{seed}").shuffle(asked)
    yield from asked


def _imitable(items: Iterator[Item], left_out: Counter[str]) -> Iterator[Item]:
    """The items whose calls are known, each value of them; counts the others."""
    for item in items:
        if item.demonstration is not None:
            yield item
        else:
            left_out[UNUSABLE] += 1


def read_api(row: Mapping[str, Any], place: str, steps: str) -> tuple[list[Item], int]:
    """The items of one API, and how many of its instances cannot be used.

    Raises:
        DataError: the row is of another layout; `each` step is asked for where only the calls are known.
    """
    tools = _tools(row, place)
    names = {tool["function"]["name"] for tool in tools}
    items: list[Item] = []
    unusable = 0
    for request, found in _instances(row, place):
        if not found or any(step is None or step.name not in names for step in found):
            unusable += 1
            continue
        known = [step for step in found if step is not None]
        if steps == "each" and any(step.observation is None for step in known[:-1]):
            raise DataError(
                f"{place}: `steps: each` needs what the API said to each call, and a file with `Golden_Answers` has "
                "the calls alone; write `steps: together`"
            )
        user = {"role": "user", "content": request, **({"tools": tools} if tools else {})}
        items += _each(user, known, str(row["Name"])) if steps == "each" else [_together(user, known, str(row["Name"]))]
    return items, unusable


def _together(user: Message, steps: Sequence[Step], api: str) -> Item:
    """All calls as one turn."""
    return _item([user], [call for step in steps for call in step.turn], user, api)


def _each(user: Message, steps: Sequence[Step], api: str) -> Iterator[Item]:
    """An item a call, which sees the calls before it and what the API said."""
    turns = [user]
    for step in steps:
        yield _item(list(turns), step.turn, user, api)
        turns.append({"role": "assistant", "content": "", "tool_calls": step.turn})
        turns.append({"role": "tool", "content": step.observation or ""})


def _item(prompt: list[Message], calls: list[Any], user: Message, api: str) -> Item:
    answer = json.dumps([call["function"] for call in calls], ensure_ascii=False)
    known = ANY_VALUE.search(answer) is None  # a text that stands for any value is nothing to imitate
    return Item(
        prompt,
        answer=answer,
        demonstration="" if known else None,
        columns={"api": api},
        turn={"tool_calls": calls} if known else {},
        row=digest({"request": user["content"]}),  # all steps of a request are on one side of the cut
    )


def _instances(row: Mapping[str, Any], place: str) -> Iterator[tuple[str, list[Step | None]]]:
    """Each request and its steps, `None` for one that cannot be read."""
    if row.get("Instances") is not None:
        for one in row["Instances"]:
            if isinstance(one, Mapping) and isinstance(one.get("input"), str):
                yield (
                    one["input"].rsplit("\nHint: ", 1)[0],
                    [_taken(step) for step in one.get("intermediate_steps") or ()],
                )
            else:
                yield "", []
        return
    requests, golds = row.get("Instructions"), row.get("Golden_Answers")
    if not isinstance(requests, list) or not isinstance(golds, list) or len(requests) != len(golds):
        raise DataError(
            f"{place} is no API of ToolAlpaca: it needs `Instances`, or `Instructions` and as many `Golden_Answers`"
        )
    keys = row.get("Authentication") or {}
    told = " ".join(f"{key}={value}" for key, value in keys.items()) if isinstance(keys, Mapping) else ""
    for request, gold in zip(requests, golds, strict=True):
        yield (
            f"{request}\nAuthentication information: {told}" if told else str(request),
            [_step(one.get("Action"), one.get("Action_Input")) if isinstance(one, Mapping) else None for one in gold],
        )


def _taken(step: Any) -> Step | None:
    """A step of the training file: `[[action, action input, log], observation]`."""
    match step:
        case [[str() as name, written, *_], observation]:
            return _step(name, written, str(observation))
    return None


def _step(name: Any, written: Any, observation: str | None = None) -> Step | None:
    try:
        arguments = json.loads(_BARE_VALUE.sub(r'"\1"', written)) if isinstance(written, str) else plain(written)
    except (ValueError, RecursionError):
        return None
    return Step(name, arguments, observation) if isinstance(name, str) and isinstance(arguments, dict) else None


def _tools(row: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    described = row.get("Function_Description")
    if not isinstance(described, Mapping) or not isinstance(row.get("Name"), str):
        raise DataError(f"{place} is no API of ToolAlpaca: it needs `Name` and `Function_Description`")
    tools: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": str(name), **_described(str(text))}}
        for name, text in described.items()
        if name != "components" and text is not None
    ]
    if tools and described.get("components"):  # the structures that outputs have; ToolAlpaca, too, says them last
        tools[-1]["function"]["description"] += f"\n{described['components']}"
    return tools


def _described(text: str) -> dict[str, Any]:
    """A function's description and, where the text says them as ToolAlpaca does, its parameters as a JSON schema."""
    found = _PARAMETERS.search(text)
    try:
        listed = json.loads(found[2]) if found else None
    except (ValueError, RecursionError):
        listed = None
    if found is None or not isinstance(listed, dict):
        return {"description": text, "parameters": {"type": "object", "properties": {}}}
    kinds = {str(key): _KIND.search(str(value)) for key, value in listed.items()}
    required = [key for key, kind in kinds.items() if kind is not None and kind[1]]
    properties = {key: _property(kind, str(listed[key])) for key, kind in kinds.items()}
    schema = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    return {"description": f"{found[1]}\n{found[3]}", "parameters": schema}


def _property(kind: re.Match[str] | None, text: str) -> dict[str, Any]:
    if kind is None:
        return {"description": text}
    one = {"type": kind[3].lower()}
    return {**({"type": "array", "items": one} if kind[2] else one), "description": kind[4]}
