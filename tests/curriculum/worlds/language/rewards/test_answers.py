"""Answers found in responses: tables of cases derived by hand."""

import threading
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.curriculum.worlds.language.rewards.answers import chosen_letter, last_number, normalise, same_mathematics


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
        (r"11,\! 111,\! 100", 11111100),  # as MATH writes it
        (r"1\,234", 1234),
        ("1{,}5", 5),  # no group of three digits
        ("3 1/2", Fraction(7, 2)),
        ("-2 1/4 cups", Fraction(-9, 4)),
        (r"2\frac{1}{2}", Fraction(5, 2)),
        (r"1 \tfrac{3}{4}", Fraction(7, 4)),
        ("row 5 10/2", 5),  # no mixed number: its part is above 1
        ("in step 2, 1/2", Fraction(1, 2)),
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
        (r"\boxed{\textbf{(A)}}", "A"),
        (r"so $\boxed{\mathrm{B}}$", "B"),
        (r"\boxed{B) CCO}", "B"),
        (r"\boxed{It is a gas.}", "D"),
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
        ("A or B", None),
        ("It is A/B", None),
        ("The answer is A or B", None),
        ("The answer is B and not C", "B"),
        ("A and B are wrong. The answer is D", "D"),
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
    ("1/2", "<answer>0.5</answer> as in step 3", True),
    ("6", "<answer>5</answer> and not 6", False),
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


def test_plain_folds_whitespace_and_case() -> None:
    assert normalise(" A\t b\n") == "A b"
    assert normalise(" A\t b\n", ignore_case=True) == "a b"
