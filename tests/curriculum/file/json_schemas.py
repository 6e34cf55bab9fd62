"""JSON Schema (2020-12), as far as perdure's own schemas use it; another keyword is an error of the test."""

import re
from collections.abc import Callable, Iterator
from typing import Any

Check = Callable[[Any, Any, dict[str, Any], dict[str, Any]], bool]
"""True if a value obeys a keyword, of its argument, the schema around it and the whole one."""

TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
SAYS_NOTHING = {"title", "description", "default", "examples", "discriminator", "$defs", "$schema", "$id"}


def _type(value: Any, kind: Any, around: dict[str, Any], root: dict[str, Any]) -> bool:
    if kind in ("number", "integer"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (kind == "number" or float(value).is_integer())
    return isinstance(value, TYPES[kind])


def _additional(value: Any, rule: Any, around: dict[str, Any], root: dict[str, Any]) -> bool:
    more = [key for key in value if key not in around.get("properties", {})] if isinstance(value, dict) else []
    return not more if rule is False else rule is True or all(not faults(value[key], rule, root) for key in more)


def _number(compare: Callable[[Any, Any], bool]) -> Check:
    return lambda value, limit, *_: not isinstance(value, int | float) or compare(value, limit)


def _length(kind: type, compare: Callable[[int, int], bool]) -> Check:
    return lambda value, limit, *_: not isinstance(value, kind) or compare(len(value), limit)


def _matching(value: Any, schemas: list[Any], root: dict[str, Any]) -> int:
    return sum(not faults(value, one, root) for one in schemas)


CHECKS: dict[str, Check] = {
    "type": _type,
    "const": lambda value, wanted, *_: value == wanted,
    "enum": lambda value, wanted, *_: value in wanted,
    "$ref": lambda value, ref, _, root: not faults(value, root["$defs"][ref.removeprefix("#/$defs/")], root),
    "anyOf": lambda value, schemas, _, root: _matching(value, schemas, root) >= 1,
    "oneOf": lambda value, schemas, _, root: _matching(value, schemas, root) == 1,
    "properties": lambda value, each, _, root: (
        not isinstance(value, dict) or all(not faults(value[key], each[key], root) for key in value if key in each)
    ),
    "patternProperties": lambda value, each, _, root: all(
        not faults(value[key], schema, root)
        for pattern, schema in each.items()
        for key in value
        if re.search(pattern, key)
    ),
    "propertyNames": lambda value, schema, _, root: all(not faults(key, schema, root) for key in value),
    "required": lambda value, keys, *_: not isinstance(value, dict) or set(keys) <= set(value),
    "additionalProperties": _additional,
    "items": lambda value, schema, around, root: all(
        not faults(one, schema, root) for one in value[len(around.get("prefixItems", ())) :]
    ),
    "prefixItems": lambda value, each, _, root: all(
        not faults(one, schema, root) for one, schema in zip(value, each, strict=False)
    ),
    "minItems": _length(list, int.__ge__),
    "maxItems": _length(list, int.__le__),
    "minProperties": _length(dict, int.__ge__),
    "minLength": _length(str, int.__ge__),
    "maxLength": _length(str, int.__le__),
    "pattern": lambda value, pattern, *_: not isinstance(value, str) or re.search(pattern, value) is not None,
    "minimum": _number(lambda value, limit: value >= limit),
    "maximum": _number(lambda value, limit: value <= limit),
    "exclusiveMinimum": _number(lambda value, limit: value > limit),
    "exclusiveMaximum": _number(lambda value, limit: value < limit),
}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> list[str]:
    """The keywords of a schema that a value breaks; those of its type first and alone."""
    if "type" in schema and not _type(value, schema["type"], schema, root):
        return ["type"]
    return list(_broken(value, schema, root))


def _broken(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    for word, rule in schema.items():
        if word not in SAYS_NOTHING and not CHECKS[word](value, rule, schema, root):
            yield word
