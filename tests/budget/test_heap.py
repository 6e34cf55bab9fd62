"""Garbage is collected among the objects made inside, and all is as before afterwards."""

import gc
import weakref

from perdure.budget.heap import uncollected, young_heap


class Ring:
    """It refers to itself, so that collection alone removes it."""

    def __init__(self) -> None:
        self.itself = self


def ring() -> "weakref.ref[Ring]":
    return weakref.ref(Ring())


def test_a_young_heap_holds_what_is_made_inside_and_an_inner_one_ends_none() -> None:
    old = ring()
    with young_heap():
        before = gc.get_freeze_count()
        assert before > 0
        with young_heap():
            young = ring()
        assert gc.get_freeze_count() == before
        gc.collect()
        assert young() is None and old() is not None
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert old() is None


def test_nothing_is_collected_inside_and_what_was_off_stays_off() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
