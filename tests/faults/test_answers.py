"""A sample of the hostile answers; all are tried by `python -m tests.faults answers`."""

import os

from tests.faults.answers import is_sum, outcome, run


def test_a_sample_of_hostile_answers_holds() -> None:
    assert run(limit=10).lost == ()


def test_sums_are_told_from_other_code() -> None:
    sums = ("Add(Integer(1), Float('1.5'), evaluate=False)", "9**9**9", "1")
    other = (
        "__import__('os')",
        "lambda: 0",
        "[x for x in (1,)]",
        "Symbol('x')",
        "().__class__",
        "'a'*9",
        "Integer(1).real",
    )
    assert all(is_sum(compile(text, "<string>", "eval")) for text in sums)
    assert not any(is_sum(compile(text, "<string>", "eval")) for text in other)


def test_code_hidden_in_mathematics_is_not_run() -> None:
    os.environ["PYTHONHASHSEED"] = "0"
    code = ("__import__('os').system('true')", "open('/dev/null', 'w')", "x.__class__", "print(7)")
    forms = (
        "\\boxed{\\text{CODE}}",
        "$\\operatorname{CODE}(x)$",
        "$x_{CODE}$",
        "$\\{\\text{CODE}, 1\\}$",
        "$\\operatorname{eigenvals}(\\begin{pmatrix}\\text{CODE}&1\\\\0&3\\end{pmatrix})$",
        "$\\gcd(\\text{CODE}, 2)$",
        "$\\text{CODE} \\in \\mathbb{R}^{2 \\times 2}$",
        "$50\\%$ and $3\\text{ CODE}$",
        "answer: 1+CODE",
    )
    answers = [form.replace("CODE", one) for form in forms for one in code]
    assert [found for answer in answers if (found := outcome("math_verify: 4", answer))] == []
