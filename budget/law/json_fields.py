"""Readers of the fields of a dataclass from JSON: a ValueError names the field that is at fault."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

Reader = Callable[[str, Any], Any]
"""The value of a field, by its name, from JSON."""


def read_fields(content: Any, kind: type, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The fields of one dataclass from JSON; a ValueError names the faulty field."""
    if not isinstance(content, dict):
        raise ValueError(f"{kind.__name__.lower()} is not a set of named values")
    names = [field.name for field in fields(kind)]
    missing, unknown = [n for n in names if n not in content], [n for n in content if n not in names]
    if missing or unknown:
        raise ValueError(f"{(missing or unknown)[0]} is {'missing' if missing else 'unknown'}")
    return {name: readers[name](name, content[name]) for name in names}


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value


def number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is not a finite number")
    return float(value)


def count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is not a count")
    return value


def optional_number(name: str, value: Any) -> float | None:
    return None if value is None else number(name, value)


def list_of(reader: Reader) -> Callable[[str, Any], tuple[Any, ...]]:
    def read(name: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"{name} is not a list")
        return tuple(reader(name, item) for item in value)

    return read
