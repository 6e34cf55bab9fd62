"""Rewards: tables of cases derived by hand, and the two directions of TRL's signature."""

import asyncio
import math
import threading
from contextlib import chdir
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.errors import ConfigError
from perdure.curriculum.rewards.answers import chosen_letter, last_number, plain, same_mathematics
from perdure.curriculum.rewards.named import as_trl, build_reward, from_trl
from perdure.curriculum.sources.config import RewardConfig
from perdure.curriculum.task import Item


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", 42),
        ("The answer is 42.", 42),
        ("3 apples and 4 pears make 7", 7),
        ("-5", -5),
        ("x = −5", -5),
        ("5-3", 3),  # a hyphen after a digit is no sign
        ("1,234,567.5", Fraction(2469135, 2)),
        ("1,2,3", 3),
        ("$1,250", 1250),
        ("-$5", -5),
        ("10{,}000", 10000),
        ("3/4", Fraction(3, 4)),
        ("-1/2", Fraction(-1, 2)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"so -\dfrac{1}{2}", Fraction(-1, 2)),
        ("1.5e3", 1500),
        ("50%", 50),
        (".5", Fraction(1, 2)),
        ("work ... #### 72", 72),
        ("7 / 0", None),  # no number at all: the only one divides by nothing
        ("H2O", None),
        ("none", None),
        ("", None),
        ("1e999999999", None),  # would not fit into memory
    ],
)
def test_last_number(text: str, expected: Fraction | int | None) -> None:
    assert last_number(text) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_last_number_reads_what_python_writes(number: Any) -> None:
    assert last_number(f"so it is {number:,f}.") == Fraction(number)


@given(st.integers(-(10**6), 10**6), st.integers(-3000, 3000))
def test_numeric_tolerance_is_an_absolute_difference(wanted: int, thousandths: int) -> None:
    # response = wanted + thousandths/1000, so it counts exactly when |thousandths| <= 1000 · 1
    response = str(Decimal(1000 * wanted + thousandths) / 1000)
    assert score({"type": "numeric", "tolerance": 1.0}, str(wanted), response) == float(abs(thousandths) <= 1000)


def test_numeric_needs_a_number_on_both_sides() -> None:
    assert score({"type": "numeric"}, "12", "I do not know") == 0.0
    assert score({"type": "numeric"}, "twelve", "12") is None
    assert score({"type": "numeric"}, "12345678901234567890", "12345678901234567891") == 0.0  # beyond a float


OPTIONS = ("63", "CCO", "ethanol", "It is a gas.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("b", "B"),
        ("**B**", "B"),
        ('"B"', "B"),
        ("The answer is B", "B"),
        ("the correct answer is: (D).", "D"),
        ("Answer: b", "B"),
        ("answer: b", "B"),
        ("Answer: A because it boils", "A"),
        ("Option C is right", "C"),
        ("B) CCO", "B"),
        ("B. The first thing to note", "B"),
        ("C\nbecause of the ring", "C"),
        (r"so \boxed{D}", "D"),
        (r"\boxed{\text{(A)}}", "A"),
        ("<answer>C</answer> or was it A", "C"),
        ("Answer: A. No, wait. The answer is C.", "C"),  # the last cue
        ("CCO", "B"),  # an option's full text
        ("63", "A"),
        ("It is a gas", "D"),
        ("The answer is ethanol.", "C"),
        ("I think B", "B"),  # I is no letter here: there are four options
        ("It could be (C)", "C"),
        ("A B C D", None),
        ("either B or C", None),
        ("The answer is a molecule", None),
        ("CCN(C)C=O", None),  # SMILES, not letters
        ("E", None),  # only four options
        ("", None),
        ("no idea", None),
    ],
)
def test_chosen_letter(text: str, expected: str | None) -> None:
    assert chosen_letter(text, OPTIONS) == expected


def test_letters_go_to_j_where_the_options_are_not_known() -> None:
    assert chosen_letter("J") == "J"
    assert chosen_letter("I think so") is None
    assert chosen_letter("K") is None


def test_multiple_choice_compares_letters_and_texts() -> None:
    options = list(OPTIONS)
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


MATHS = [
    (r"\frac{13}{18}", r"The probability is $\frac{26}{36}$.", True),
    (r"\frac{13}{18}", r"\boxed{13/18}", True),
    (r"\frac{13}{18}", "0.5", False),
    (r"\left( 3, \frac{\pi}{2} \right)", r"\boxed{(3, \pi/2)}", True),
    (r"\left( 3, \frac{\pi}{2} \right)", "3", False),
    ("p - q", r"$-q + p$", True),
    ("p - q", r"-q + p", True),
    ("p - q", r"$q - p$", False),
    (r"\text{Evelyn}", r"\text{Evelyn}", True),
    ("2x + 2", r"so $2(x+1)$", True),
    ("5", "I do not know", False),
    ("5", "", False),
]


@pytest.mark.parametrize(("gold", "response", "expected"), MATHS)
def test_same_mathematics(gold: str, response: str, expected: bool) -> None:
    assert same_mathematics(gold, response) is expected


@pytest.mark.parametrize("response", ["$9^{9^{9^9}}$", r"$(10^{10})!$", r"$2^{10^{9}}$", "$1000000!!$"])
def test_numbers_that_cannot_be_evaluated_are_wrong_at_once(response: str) -> None:
    assert same_mathematics("3", response) is False


def test_mathematics_off_the_main_thread() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.extend(same_mathematics(gold, text) for gold, text, _ in MATHS))
    thread.start()
    thread.join()
    assert found == [expected for *_, expected in MATHS]


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

    with pytest.raises(ConfigError, match=r"'grade' failed: KeyError: 'solution' \(.*test_rewards.py, line \d+\)"):
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


def test_plain_folds_whitespace_and_case() -> None:
    assert plain(" A\t b\n") == "A b"
    assert plain(" A\t b\n", ignore_case=True) == "a b"
