"""Settings of the library that a world trains with: in the language world the fields of TRL's configs, under `trl`."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from perdure.curriculum.worlds.contract import WorldSpec


class Library(Protocol):
    """The module `WorldSpec.library`."""

    KEY: str
    """The key of `train` and its sections under which the fields stand."""

    faults: Callable[[Any, Any], list[Any]]
    """The faults of a document's fields; the curriculum is `None` while the rest of the file has faults."""

    is_field: Callable[[str], bool]
    """True if a curriculum may set a field of this name."""

    reference: Callable[[], str]
    """The section of `docs/curriculum.md`."""


def library_of(spec: WorldSpec | None) -> Library | None:
    """The library of a world; `None` where it has none."""
    return None if spec is None or spec.library is None else import_module(spec.library)
