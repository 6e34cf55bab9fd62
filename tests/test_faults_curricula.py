"""A sample of the mutated curricula; `python -m tests.faults` tries all."""

from tests.faults import curricula
from tests.faults.totals import Totals


def test_mutated_curricula_are_refused_with_a_place_or_good() -> None:
    assert curricula.run(limit=16) == Totals(16)
