"""Keeps reasoning-gym's verifiers from running what a model wrote.

Some of them call Python's `eval`, or sympy's `parse_expr`, which is `eval` underneath, on the response. For these the
response must be a literal, or arithmetic over known names with powers that can be evaluated; else it is not passed on.
"""

import ast
import re
from math import prod
from typing import Any

EVALUATED = frozenset({"binary_matrix", "n_queens", "spiral_matrix", "string_insertion"})
PARSED = frozenset(
    {"countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration"}
)
FUNCTIONS = frozenset(
    "sin cos tan sec csc cot asin acos atan sinh cosh tanh asinh acosh atanh exp log ln sqrt Abs pi".split()  # noqa: SIM905
)
LONGEST = 300  # characters of arithmetic
LARGEST_POWER = 10_000  # product of all exponents
_NAME = re.compile(r"[A-Za-z]\w*")
_EXPONENT = re.compile(r"\*\*\s*(?:(-?\d{1,3})(?![\d.*])|\(\s*(-?\d{1,3})\s*(?:/\s*\d{1,3}\s*)?\)|([A-Za-z])(?!\w))")


def is_harmless(dataset: str, answer: str, entry: dict[str, Any]) -> bool:
    """Whether a response may be given to the verifier of a dataset."""
    if dataset in EVALUATED:
        valid = entry.get("metadata", {}).get("valid_answers") or ()
        return answer in (entry["answer"], str(entry["answer"]).strip()) or answer in valid or is_literal(answer)
    return dataset not in PARSED or is_arithmetic(answer)


def is_literal(text: str) -> bool:
    """Whether a text is a Python literal: numbers, text, lists and the like, with nothing to call."""
    if len(text) > 10_000:
        return False
    try:
        ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def is_arithmetic(text: str) -> bool:
    """Whether a text is short arithmetic: numbers, one-letter names, common functions, `+ - * / ( ) **`.

    An exponent is an integer of up to three digits, a fraction of such in brackets, or one letter, and the product
    of all of them is at most 10,000.
    """
    if len(text) > LONGEST or not re.fullmatch(r"[\w\s+\-*/().,]*", text, re.ASCII):
        return False
    if "_" in text or re.search(r"\.\s*[A-Za-z]|\.\.", text) or re.search(r"\d{16}", text):
        return False
    if any(len(name) > 1 and name not in FUNCTIONS for name in _NAME.findall(text)):
        return False
    powers = list(_EXPONENT.finditer(text))
    if len(powers) != text.count("**"):
        return False
    return prod(max(1, abs(int(power[1] or power[2] or 1))) for power in powers) <= LARGEST_POWER
