"""Calls of tools, read out of a response and compared with the expected ones as data. Pure functions.

A call is a name and a map of arguments. It is written as models and data sets write it: between `<tool_call>` tags
(Hermes, Qwen), as `Action:` and `Action Input:` (ReAct), or as JSON, one call or a list.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perdure.curriculum.worlds.language.rewards.answers import normalise, tagged_answer

NAMES = ("name", "Action", "action", "tool")
ARGUMENTS = ("arguments", "parameters", "args", "Action_Input", "action_input")
ANY_VALUE = re.compile(r"\$\{[^{}]*\}")
"""An expected text like `${id of the user}` is a value that nobody can know beforehand: every value is right."""
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_REACT = re.compile(
    r"^[\w ]*\bAction:[ \t]*(\S[^\n]*)\n[\w ]*\bAction Input:[ \t]*(.*?)"
    r"(?=^[\w ]*\b(?:Action|Observation|Thought|Response):|\Z)",
    re.DOTALL | re.MULTILINE,
)
_FENCED = re.compile(r"\A```(?:json)?\s*\n(.*?)\n?```\Z", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """One call; `name` is `None` where it was begun and cannot be read."""

    name: str | None
    arguments: Mapping[str, Any]


BROKEN = Call(None, {})


def made_calls(response: str) -> list[Call]:
    """The calls in a response, in their order; one that cannot be read is `BROKEN`."""
    tagged = _TAGGED.findall(response)
    if tagged:
        return [one for text in tagged for one in _calls(_json(text)) or [BROKEN]]
    acted = _REACT.findall(response)
    if acted:
        return [_call({"name": name.strip(), "arguments": text.strip() or {}}) or BROKEN for name, text in acted]
    text = tagged_answer(response).removeprefix("[TOOL_CALLS]").strip()
    fenced = _FENCED.search(text)
    return _calls(_json(fenced[1] if fenced else text)) or []


def expected_calls(answer: str) -> list[Call] | None:
    """The calls that an answer says as JSON, `[]` for none at all; `None` if it cannot be read."""
    return _calls(_json(answer))


def score_calls(
    expected: Sequence[Call], made: Sequence[Call], *, in_order: bool, partial: bool, ignore_case: bool = False
) -> float:
    """1 where the calls made are the expected ones, else 0, or with `partial` the share of them that is right.

    A pair of calls of one name counts (1 + equal arguments) / (1 + arguments of either), another pair 0. Calls are
    paired so that the sum is the largest, without crossings if `in_order`; it is divided by the number of expected or
    of made calls, whichever is larger.
    """
    if not expected or not made:
        return float(not expected and not made)
    shares = [[_share(one, other, ignore_case) for other in made] for one in expected]
    total = (_best_in_order if in_order else _best)(shares) / max(len(expected), len(made))
    return total if partial else float(total == 1)


def _share(expected: Call, made: Call, ignore_case: bool) -> float:
    if made.name is None or expected.name != made.name:
        return 0.0
    equal = sum(
        name in made.arguments and _same(value, made.arguments[name], ignore_case)
        for name, value in expected.arguments.items()
    )
    return (1 + equal) / (1 + len({*expected.arguments, *made.arguments}))


def _same(expected: Any, made: Any, ignore_case: bool) -> bool:
    """True for equal JSON values: the order of keys does not count, nor runs of blanks; 1 is 1.0, but not `true`."""
    if isinstance(expected, str) and ANY_VALUE.fullmatch(expected):
        return True
    match expected, made:
        case str(), str():
            return normalise(expected, ignore_case=ignore_case) == normalise(made, ignore_case=ignore_case)
        case list(), list():
            return len(expected) == len(made) and all(
                _same(one, other, ignore_case) for one, other in zip(expected, made, strict=True)
            )
        case dict(), dict():
            return expected.keys() == made.keys() and all(
                _same(one, made[name], ignore_case) for name, one in expected.items()
            )
    return bool(expected == made) and isinstance(expected, bool) == isinstance(made, bool)


def _best_in_order(shares: Sequence[Sequence[float]]) -> float:
    """The largest sum of pairs that do not cross, as in a longest common subsequence."""
    best = [0.0] * (len(shares[0]) + 1)
    for row in shares:
        above = best[:]
        for place, share in enumerate(row, 1):
            best[place] = max(above[place], best[place - 1], above[place - 1] + share)
    return best[-1]


def _best(shares: Sequence[Sequence[float]]) -> float:
    """The largest sum of pairs (the assignment problem)."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    matrix = np.array(shares)
    return float(matrix[linear_sum_assignment(matrix, maximize=True)].sum())


def _calls(value: Any) -> list[Call] | None:
    """The calls that a value of JSON says: one or a list; `None` if it says none."""
    listed = value if isinstance(value, list) else [value]
    calls = [_call(one) for one in listed]
    return None if None in calls else [call for call in calls if call is not None]


def _call(value: Any) -> Call | None:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):  # as OpenAI and chat templates have it
        value = value["function"]
    if not isinstance(value, dict):
        return None
    name = next((value[key] for key in NAMES if key in value), None)
    arguments: Any = next((value[key] for key in ARGUMENTS if key in value), {})
    arguments = _json(arguments) if isinstance(arguments, str) else arguments
    return Call(name, arguments) if isinstance(name, str) and isinstance(arguments, dict) else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
