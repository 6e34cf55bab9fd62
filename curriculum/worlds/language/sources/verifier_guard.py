"""Keeps reasoning-gym's verifiers from running what a model wrote.

Some of them call Python's `eval`, or sympy's `parse_expr`, which is `eval` underneath, on the response. For these the
response must be a literal, or arithmetic over known names with powers that can be evaluated; else it is not passed on.
"""

import ast
from typing import Any

EVAL_DATASETS = frozenset({"binary_matrix", "n_queens", "spiral_matrix", "string_insertion"})
PARSE_EXPR_DATASETS = frozenset(
    {"countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration"}
)
FUNCTIONS = frozenset(
    "sin cos tan sec csc cot asin acos atan sinh cosh tanh asinh acosh atanh exp log ln sqrt Abs Integral".split()  # noqa: SIM905
)
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.UAdd, ast.USub)
MAX_CHARACTERS = 1_000  # characters of arithmetic
MAX_EXPONENT = 999
MAX_POWER = 10_000  # of powers of powers


def is_harmless(dataset: str, answer: str, entry: dict[str, Any]) -> bool:
    """True if a response may be given to the verifier of a dataset."""
    if dataset in EVAL_DATASETS:
        valid = entry.get("metadata", {}).get("valid_answers") or ()
        return answer in (entry["answer"], str(entry["answer"]).strip()) or answer in valid or is_literal(answer)
    return dataset not in PARSE_EXPR_DATASETS or is_arithmetic(answer)


def is_literal(text: str) -> bool:
    """True if a text is a Python literal: numbers, text, lists and the like, with nothing to call."""
    if len(text) > 10_000:
        return False
    try:
        ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def is_arithmetic(text: str) -> bool:
    """True if a text is short arithmetic: numbers, one-letter names and `pi`, common functions, `+ - * / ( ) **`.

    An exponent is an integer of up to three digits, a fraction of such, or a letter; powers of powers are at most
    10,000 together, so that the value can be written out.
    """
    if len(text) > MAX_CHARACTERS:
        return False
    try:
        power = _power(ast.parse(text, mode="eval").body)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return power <= MAX_POWER


def _power(node: ast.expr) -> int:
    """The highest power that anything in an expression is raised to.

    Raises:
        ValueError: something that is not arithmetic.
    """
    match node:
        case ast.Constant(value=int() | float()) if len(str(node.value)) <= 40:
            return 1
        case ast.Name(id=name) if len(name) == 1 or name == "pi":
            return 1
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(left) * _exponent(right)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, OPERATORS):
            return max(_power(left), _power(right))
        case ast.UnaryOp(op=op, operand=operand) if isinstance(op, OPERATORS):
            return _power(operand)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return max((_power(argument) for argument in arguments), default=1)
    raise ValueError("not arithmetic")


def _exponent(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(value)) if value <= MAX_EXPONENT:
            return max(1, value)
        case ast.Name(id=name) if len(name) == 1:
            return 1
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _exponent(operand)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return max(_exponent(left), _exponent(right))
    raise ValueError("an exponent that may be huge")
