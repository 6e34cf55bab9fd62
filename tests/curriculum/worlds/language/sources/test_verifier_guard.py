"""Responses that a verifier would evaluate are let through only where they are harmless."""

import inspect
import re
from pathlib import Path

import pytest

from perdure.curriculum.worlds.language.sources.verifier_guard import (
    EVAL_DATASETS,
    PARSE_EXPR_DATASETS,
    is_arithmetic,
    is_harmless,
    is_literal,
)
from tests.curriculum.worlds.language.sources.building import gym


def test_every_verifier_that_evaluates_responses_is_guarded() -> None:
    from reasoning_gym.factory import DATASETS

    evaluates = re.compile(r"(?<![.\w])eval\((?!entry)|parse_expr\(|sympify\(|exec\(")
    found = {name for name, (kind, _) in DATASETS.items() if evaluates.search(inspect.getsource(kind.score_answer))}
    assert found == EVAL_DATASETS | PARSE_EXPR_DATASETS


def test_guard_lets_answers_through_and_code_not(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w')"
    for name in ("spiral_matrix", "countdown"):
        task = gym(name, train=3, heldout=2, success=None)
        assert task.reward is not None
        assert task.reward(task.heldout, [str(item.answer) for item in task.heldout]) == [1.0, 1.0]
        assert task.reward(task.heldout, [code, code]) == [0.0, 0.0]
    assert not mark.exists()


@pytest.mark.parametrize("text", ["1 + 2*(3 - x)/4", "-x**2 + sin(2*x)**2", "2**x", "x**(-1/2)", "sqrt(pi) + C"])
def test_arithmetic(text: str) -> None:
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "eval(x)",
        "x.y",
        "9**9**9",
        "(9**999)**999",
        "10**1000",
        "[1]",
        "'a'",
        "1; 2",
        "x" * 2000,
        "",
    ],
)
def test_not_arithmetic(text: str) -> None:
    assert not is_arithmetic(text)


def test_literals() -> None:
    assert is_literal("[[1, 2], ['a']]")
    assert not is_literal("[1] * 10**9")
    assert is_harmless("gcd", "exec('x')", {"answer": "1"})  # compared as text only
