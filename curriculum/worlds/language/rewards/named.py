"""Rewards by name. Each compares a response with its item's right answers and gives 1 or 0, `None` where it has none.

`tool_calls` gives a share of 1 where the curriculum asks for it.

None of them runs what a model wrote; `code.py` does, in a sandbox. A reward with TRL's own signature is given by dotted
path (`trl.py`).
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import load_function
from perdure.curriculum.own_code import REWARD
from perdure.curriculum.sandbox.registry import open_sandbox
from perdure.curriculum.task import Item, Reward, scorer_name
from perdure.curriculum.worlds.language.rewards.answers import (
    chosen_letter,
    last_number,
    normalise,
    same_mathematics,
    tagged_answer,
)
from perdure.curriculum.worlds.language.rewards.code import CodeTests
from perdure.curriculum.worlds.language.rewards.guarded import RewardRecipe, function, verifier
from perdure.curriculum.worlds.language.rewards.tool_calls import expected_calls, made_calls, score_calls
from perdure.curriculum.worlds.language.rewards.trl import FromTrl, from_trl, reward_title
from perdure.curriculum.worlds.language.rewards.worker import from_path, path_of
from perdure.curriculum.worlds.language.text_source import RewardConfig

ScoreFunction = Callable[[Item, str], float | None]


@dataclass(frozen=True)
class NamedReward:
    """A reward that looks at one item and one response at a time."""

    scorer_name: ClassVar[str] = "perdure.curriculum.rewards.named.NamedReward"

    name: str
    score: ScoreFunction
    scorer_settings: str = ""

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        scores = [self.score(item, text) for item, text in zip(items, completions, strict=True)]
        return [None if score is None else float(score) for score in scores]


def exact_match(config: RewardConfig) -> ScoreFunction:
    """Equal text, stripped, every run of whitespace one blank; case folded with `ignore_case`."""

    def score(item: Item, text: str) -> bool | None:
        found = normalise(tagged_answer(text), ignore_case=config.ignore_case)
        return (
            any(found == normalise(one, ignore_case=config.ignore_case) for one in item.right) if item.right else None
        )

    return score


def numeric(config: RewardConfig) -> ScoreFunction:
    """The last number of the response within `tolerance` of the last number of the answer."""
    tolerance = Fraction(str(config.tolerance))  # 0.3 as it is written, and not the float below it

    def score(item: Item, text: str) -> bool | None:
        wanted = [number for one in item.right if (number := last_number(one)) is not None]
        if not wanted:
            return None
        found = last_number(tagged_answer(text))
        return found is not None and any(abs(found - one) <= tolerance for one in wanted)

    return score


def multiple_choice(config: RewardConfig) -> ScoreFunction:
    """The letter the response chooses (`chosen_letter`) equals the answer's.

    `columns["choices"]`, a list of option texts, says how many letters there are and lets a full text stand for one.
    """

    def score(item: Item, text: str) -> bool | None:
        wanted = right_letters(item)
        return chosen_letter(text, _options(item)) in wanted if wanted else None

    return score


def right_letters(item: Item) -> set[str]:
    """The letters of an item's right options, as far as its answers say any."""
    found = (chosen_letter(one, _options(item)) for one in item.right)
    return {letter for letter in found if letter is not None}


def _options(item: Item) -> list[str]:
    options = item.columns.get("choices") or ()
    return [str(option) for option in options] if isinstance(options, (list, tuple)) else []


def regex(config: RewardConfig) -> ScoreFunction:
    """`pattern` is searched for in the response (`^`, `$` and `.` as in Python).

    With a group, group 1 of the last match must equal an answer, as `exact_match` compares; without one, any match
    is success.
    """
    pattern = re.compile(config.pattern or "", re.IGNORECASE if config.ignore_case else 0)

    def score(item: Item, text: str) -> bool | None:
        matches = list(pattern.finditer(text))
        if not pattern.groups:
            return bool(matches)
        if not item.right:
            return None
        found = matches[-1][1] if matches else None
        wanted = {normalise(one, ignore_case=config.ignore_case) for one in item.right}
        return found is not None and normalise(found, ignore_case=config.ignore_case) in wanted

    return score


def math_verify(config: RewardConfig) -> ScoreFunction:
    """Mathematical equality, by the package of that name (`same_mathematics`)."""

    def score(item: Item, text: str) -> bool | None:
        return any(same_mathematics(one, text) for one in item.right) if item.right else None

    return score


def tool_calls(config: RewardConfig) -> ScoreFunction:
    """The calls in the response are those of an answer (`score_calls`)."""

    def score(item: Item, text: str) -> float | None:
        wanted = [calls for one in item.right if (calls := expected_calls(one)) is not None]
        if not wanted:
            return None
        made = made_calls(text)
        how = {"in_order": config.in_order, "partial": config.partial, "ignore_case": config.ignore_case}
        return max(score_calls(calls, made, **how) for calls in wanted)

    return score


REWARDS: dict[str, Callable[[RewardConfig], ScoreFunction]] = {
    "exact_match": exact_match,
    "numeric": numeric,
    "multiple_choice": multiple_choice,
    "regex": regex,
    "math_verify": math_verify,
    "tool_calls": tool_calls,
}


def build_reward(config: RewardConfig) -> Reward:
    """The reward that a curriculum names, in a process of its own (`guarded.py`).

    `code_tests` runs here, and what the model wrote in a sandbox.

    Raises:
        ConfigError: a dotted path that leads nowhere; `source`, which only a source itself can build; a sandbox that
            this machine lacks.
    """
    if config.sandbox is not None:
        return CodeTests(open_sandbox(config.sandbox), config.timeout)
    if config.path is None and config.type not in REWARDS:
        raise ConfigError("the reward `source` is the source's own verifier; a `dataset` has none")
    reward = made(config.model_dump())
    if config.timeout == 0:
        return reward
    names = reward_title(reward), scorer_name(reward)
    if not isinstance(reward, FromTrl):
        given = config.model_dump()
        recipe = RewardRecipe(f"{__name__}:made", {"config": given}, *names, json.dumps(given, sort_keys=True))
        return verifier(recipe, config.timeout)
    path = path_of(reward.function)
    if path is None:
        raise ConfigError(
            f"the reward {config.path!r} has no name of its own in a module; write a function that calls it"
        )
    return function(
        RewardRecipe(f"{from_path.__module__}:from_path", {"path": path, "name": names[0]}, *names, path),
        config.timeout,
    )


def made(config: dict[str, Any]) -> Reward:
    """The reward itself, in the process that calls this."""
    read = RewardConfig(**config)
    if read.path is not None:
        return from_trl(load_function(read.path, REWARD), read.path.partition(":")[2])
    return NamedReward(str(read.type), REWARDS[str(read.type)](read), json.dumps(config, sort_keys=True))
