"""TRL's signature, in both directions."""

import asyncio
import math
from typing import Any

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.rewards.trl import as_trl, from_trl
from perdure.curriculum.worlds.language.text_source import RewardConfig

ITEMS = [
    Item([{"role": "user", "content": "2+2?"}], answer="4", columns={"hard": False, "prompts": "dropped"}),
    Item([{"role": "user", "content": "2*3?"}], answer=None, columns={"hard": True}),
]


def test_from_trl_calls_as_the_trainer_does() -> None:
    seen: dict[str, Any] = {}

    def reward(prompts: Any, completions: Any, completion_ids: Any, **columns: Any) -> list[float | None]:
        seen.update(columns, prompts=prompts, completions=completions, completion_ids=completion_ids)
        columns["log_metric"]("tried", 1.0)
        columns["log_extra"]("column", ["a", "b"])
        return [1, None]

    assert from_trl(reward)(ITEMS, ["4", "6"], [[1, 2], [3]]) == [1.0, None]
    assert seen["prompts"] == [item.prompt for item in ITEMS]
    assert seen["completions"] == [[{"role": "assistant", "content": text}] for text in ("4", "6")]
    assert seen["completion_ids"] == [[1, 2], [3]]
    assert seen["answer"] == ["4", None]
    assert seen["hard"] == [False, True]
    assert seen["trainer_state"].global_step == 0


def test_from_trl_gives_text_to_text() -> None:
    reward = from_trl(lambda prompts, completions, **_: [float(completions[0] == "4" and prompts[0] == "2+2?")])
    assert reward([Item("2+2?")], ["4"]) == [1.0]


def test_from_trl_awaits_and_passes_nan_on() -> None:
    async def reward(completions: Any, **_: Any) -> list[float]:
        await asyncio.sleep(0)
        return [math.nan] * len(completions)

    values = from_trl(reward)(ITEMS, ["", ""])
    assert all(value is not None and math.isnan(value) for value in values)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ([1.0], "returned 1 figures for 2 completions"),
        (0.5, "returned float, not a list"),
        (["1", "2"], "returned '1'; a reward is a number or None"),
        ([1.0, [2.0]], r"returned \[2.0\]"),
    ],
)
def test_from_trl_names_a_function_that_returns_something_else(output: Any, message: str) -> None:
    def grade(**_: Any) -> Any:
        return output

    with pytest.raises(ConfigError, match=f"'grade' {message}"):
        from_trl(grade)(ITEMS, ["", ""])


def test_from_trl_says_where_a_function_failed() -> None:
    def grade(**_: Any) -> Any:
        raise KeyError("solution")

    with pytest.raises(ConfigError, match=r"'grade' failed: KeyError: 'solution' \(.*test_trl.py, line \d+\)"):
        from_trl(grade)(ITEMS, ["", ""])


def test_as_trl_looks_items_up() -> None:
    reward = as_trl(build_reward(RewardConfig(type="exact_match")), ITEMS)
    completions = [[{"role": "assistant", "content": text}] for text in ("4", "5", "6")]
    assert reward(prompts=[], completions=completions, completion_ids=[[]] * 3, item=[0, 0, 1]) == [1.0, 0.0, None]
    assert reward(prompts=[], completions=["4"], completion_ids=[[]], item=[0], trainer_state=None) == [1.0]
    assert reward.__name__ == "exact_match"


def test_there_and_back_again() -> None:
    seen: dict[str, Any] = {}

    def length(completions: Any, completion_ids: Any, **given: Any) -> list[float]:
        seen.update(given)
        return [
            float(len(completion[0]["content"]) + len(ids))
            for completion, ids in zip(completions, completion_ids, strict=True)
        ]

    again = as_trl(from_trl(length), ITEMS)
    completions = [[{"role": "assistant", "content": "four"}]]
    assert again(prompts=[], completions=completions, completion_ids=[[7, 8]], item=[1], trainer_state="live") == [6.0]
    assert again.__name__ == "length"
    assert seen["trainer_state"] == "live"  # the trainer's own, not a fresh one
