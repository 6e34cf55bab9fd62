"""A sample of the hostile answers; all are tried by `python -m tests.faults answers`."""

from tests.faults.answers import run


def test_a_sample_of_hostile_answers_holds() -> None:
    assert run(limit=10).lost == ()
