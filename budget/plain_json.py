"""JSON that every reader takes: a number that is not finite is `null`, and a word beside it says which it was."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

WORDS = "not_finite"
"""The key of the words: each JSON pointer (RFC 6901) to a `null`, with NaN, Infinity or -Infinity."""


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON; numbers that are not finite become `null`."""
    return json.dumps(without_nan(value), allow_nan=False, indent=indent)


def without_nan(value: Any) -> Any:
    """`value` with `None` for every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return value


def with_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """An object without numbers that are not finite; those that it had are told under `WORDS`."""
    words = dict(_not_finite(row, ""))
    plain: dict[str, Any] = without_nan(row)
    return plain | {WORDS: words} if words else plain


def from_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `with_words`; an object without such numbers is as it was.

    Raises:
        LookupError, TypeError, ValueError: a pointer or a word means nothing.
    """
    found = json.loads(json.dumps(row)) if WORDS in row else dict(row)
    for pointer, word in found.pop(WORDS, {}).items():
        *path, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
        place: Any = found
        for part in path:
            place = place[int(part) if isinstance(place, list) else part]
        place[int(last) if isinstance(place, list) else last] = float(word)
    return found


def _not_finite(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield pointer, "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _not_finite(part, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _not_finite(part, f"{pointer}/{index}")
