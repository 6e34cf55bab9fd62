"""The mutated curricula hold what `docs/security.md` says."""

from itertools import islice
from random import Random

from tests.faults.curricula import CASES, VALUES, mutants


def test_every_hostile_value_is_tried() -> None:
    tried = list(islice(mutants(Random(11)), CASES))
    unseen = [value[:40] for value in VALUES if not any(value.encode() in one for one in tried)]
    assert unseen == []
    assert {"[" * 9000, "1" * 5000} <= set(VALUES) and any(value.startswith("!!python/object") for value in VALUES)
