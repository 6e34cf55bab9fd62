"""A sample of the hostile answers; all are tried by `python -m tests.faults answers`."""

from tests.faults.answers import is_sum, run


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
