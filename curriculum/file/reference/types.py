"""Types, limits and defaults of settings in plain words."""

import json
from math import log
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perdure.curriculum.file import schema_paths


def type_of(annotation: Any) -> str:
    """The types that an annotation allows, `or` between them."""
    kinds = [word(kind) for kind in schema_paths.members(annotation)]
    return " or ".join("a list of them" if kind == f"list of {kinds[0]}" else kind for kind in kinds)


def word(kind: Any) -> str:
    """A type in plain words; literals as the values that may be written."""
    if schema_paths.origin_of(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if schema_paths.origin_of(kind) is list:
        return f"list of {' or '.join(word(one) for one in schema_paths.members(get_args(kind)[0]))}"
    if schema_paths.origin_of(kind) is dict:
        key = schema_paths.members(get_args(kind)[0])[0]
        return f"map of {word(key)}" if schema_paths.origin_of(key) is Literal else "map"
    return TYPE_WORDS.get(kind, str(kind))


TYPE_WORDS = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
ENOUGH = 10**4
"""Upper limits from here on only keep out slips, and are left out."""
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def limits(field: FieldInfo) -> str:
    """` ≥ 0, < 1` from the constraints of the field and of its type."""
    inner = [limit for one in get_args(field.annotation) for limit in _inside(one)]
    found = [
        f"{sign} {_number(getattr(limit, name))}"
        for name, sign in SIGNS.items()
        for limit in (*field.metadata, *inner)
        if getattr(limit, name, None) is not None and (name != "le" or getattr(limit, name) < ENOUGH)
    ]
    return f" {', '.join(found)}" if found else ""


def _inside(annotation: Any) -> list[Any]:
    """The constraints in an `Annotated`, those of its `Field`s included."""
    found = getattr(annotation, "__metadata__", ())
    return [limit for one in found for limit in (one.metadata if isinstance(one, FieldInfo) else [one])]


def _number(limit: float) -> str:
    """`0.5`, `2³²`."""
    power = round(log(limit, 2)) if limit >= ENOUGH else 0
    return f"2{str(power).translate(SUPERSCRIPTS)}" if power else f"{limit:g}"


def default_of(field: FieldInfo) -> str:
    """The default as a file writes it; a dash if it is none or empty."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ({}, []) or isinstance(default, BaseModel):
        return "–"
    return shown(default)


def shown(value: Any) -> str:
    """A value as a file writes it."""
    return f"`{json.dumps(value)}`".replace('"', "")
