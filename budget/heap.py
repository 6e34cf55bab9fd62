"""Python's garbage collection, kept from going again and again through the millions of objects of the libraries."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection inside, as for imports, which leave little garbage and many objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def young_heap() -> Iterator[None]:
    """Keep garbage collection to the objects that are made inside, or inside an outer `young_heap`."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
