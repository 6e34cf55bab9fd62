"""Rewards by name and by dotted path: tables of cases derived by hand."""

from contextlib import chdir
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.errors import ConfigError
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.text_source import RewardConfig


def score(config: dict[str, Any], answer: str | None, response: str, **columns: Any) -> float | None:
    return build_reward(RewardConfig(**config))([Item("?", answer=answer, columns=columns)], [response])[0]


@pytest.mark.parametrize(
    ("answer", "response", "ignore_case", "expected"),
    [
        ("Paris", "Paris", False, 1.0),
        ("Paris", "  Paris\n", False, 1.0),
        ("a  b\nc", "a b c", False, 1.0),
        ("Paris", "paris", False, 0.0),
        ("Paris", "PARIS", True, 1.0),
        ("Paris", "Paris.", False, 0.0),
        ("Paris", "I think <answer> Paris </answer> is it", False, 1.0),
        ("Paris", "", False, 0.0),
        (None, "Paris", False, None),
    ],
)
def test_exact_match(answer: str | None, response: str, ignore_case: bool, expected: float | None) -> None:
    assert score({"type": "exact_match", "ignore_case": ignore_case}, answer, response) == expected


@given(st.text().filter(lambda text: "<answer>" not in text))
def test_exact_match_is_reflexive_and_blind_to_outer_whitespace(text: str) -> None:
    assert score({"type": "exact_match"}, text, f" {text}\n") == 1.0


@given(st.integers(-(10**6), 10**6), st.integers(-3000, 3000))
def test_numeric_tolerance_is_an_absolute_difference(wanted: int, thousandths: int) -> None:
    # response = wanted + thousandths/1000, so it counts exactly when |thousandths| <= 1000 · 1
    response = str(Decimal(1000 * wanted + thousandths) / 1000)
    assert score({"type": "numeric", "tolerance": 1.0}, str(wanted), response) == float(abs(thousandths) <= 1000)


@given(st.integers(1, 99), st.integers(0, 1000))
def test_a_number_as_far_away_as_the_tolerance_is_within_it(hundredths: int, wanted: int) -> None:
    response = str(Decimal(100 * wanted + hundredths) / 100)
    assert score({"type": "numeric", "tolerance": hundredths / 100}, str(wanted), response) == 1.0


def test_numeric_needs_a_number_on_both_sides() -> None:
    assert score({"type": "numeric"}, "12", "I do not know") == 0.0
    assert score({"type": "numeric"}, "twelve", "12") is None
    assert score({"type": "numeric"}, "12345678901234567890", "12345678901234567891") == 0.0  # beyond a float


def test_multiple_choice_compares_letters_and_texts() -> None:
    options = ["63", "CCO", "ethanol", "It is a gas."]
    assert score({"type": "multiple_choice"}, "B", "The answer is (B).", choices=options) == 1.0
    assert score({"type": "multiple_choice"}, "B", "CCO", choices=options) == 1.0
    assert score({"type": "multiple_choice"}, "CCO", "b)", choices=options) == 1.0
    assert score({"type": "multiple_choice"}, "B", "C", choices=options) == 0.0
    assert score({"type": "multiple_choice"}, "B", "nothing", choices=options) == 0.0
    assert score({"type": "multiple_choice"}, "B", "(B)") == 1.0
    assert score({"type": "multiple_choice"}, None, "B") is None


def test_regex_with_and_without_a_group() -> None:
    group = {"type": "regex", "pattern": r"#### (\d+)"}
    assert score(group, "72", "first #### 5, then #### 72") == 1.0  # the last match
    assert score(group, "72", "#### 71") == 0.0
    assert score(group, "72", "72") == 0.0
    assert score(group, None, "#### 72") is None
    assert score({"type": "regex", "pattern": r"^yes"}, None, "yes, sir") == 1.0
    assert score({"type": "regex", "pattern": r"^yes"}, None, "Yes, sir") == 0.0
    assert score({"type": "regex", "pattern": r"^yes", "ignore_case": True}, None, "Yes, sir") == 1.0


def test_a_reward_by_dotted_path(tmp_path: Path) -> None:
    (tmp_path / "own_reward_for_test.py").write_text(
        "def grade(completions, **_):\n    return [0.25 for _ in completions]\n"
    )
    with chdir(tmp_path):  # a user's module in the current directory
        reward = build_reward(RewardConfig(path="own_reward_for_test:grade"))
        with pytest.raises(ConfigError, match="has no 'grad'; did you mean 'grade'"):
            build_reward(RewardConfig(path="own_reward_for_test:grad"))
    assert reward([Item("?")], ["a"]) == [0.25]
    with pytest.raises(ConfigError, match="no module 'nothing_of_that_name'"):
        build_reward(RewardConfig(path="nothing_of_that_name:grade"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "give `type` or `path`"),
        ({"type": "exact_match", "path": "a:b"}, "give `type` or `path`"),
        ({"type": "regex"}, "go together"),
        ({"type": "numeric", "pattern": "x"}, "go together"),
        ({"type": "regex", "pattern": "("}, "no regular expression"),
    ],
)
def test_what_a_reward_may_not_say(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RewardConfig(**config)
