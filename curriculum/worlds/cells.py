"""Cells of a data file as text, and rows of them by their hash."""

import json
import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from perdure.budget.errors import DataError
from perdure.budget.json_lines import Written


def is_gap(value: Any) -> bool:
    """True for a cell that says nothing: null, no text, or the NaN that stands for null in a column of numbers."""
    return value is None or (isinstance(value, str) and value == "") or (isinstance(value, float) and math.isnan(value))


def cell_text(value: Any, place: str, *, inside: bool = False) -> str:
    """A cell as text: text as it is, numbers as they are written, lists and maps as JSON, days and times in ISO.

    `inside` a list or map, text has quotes.

    Raises:
        DataError: the cell holds bytes.
    """
    if isinstance(value, bytes):
        raise DataError(f"{place} holds bytes, not text; write the column as text (string)")
    if isinstance(value, Mapping):
        parts = [f"{_quoted(key)}: {cell_text(part, place, inside=True)}" for key, part in value.items()]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(cell_text(part, place, inside=True) for part in value) + "]"
    if isinstance(value, Written):
        return value.text
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return _quoted(value) if inside else str(value)


def digest(row: Mapping[str, Any]) -> str:
    """The hash of a row's cells as text, gaps aside: equal for equal rows whatever file they stand in."""
    cells: dict[str, str] = {}
    for name, value in row.items():
        try:
            cells |= {} if is_gap(value) else {name: cell_text(value, name)}
        except DataError:  # bytes, in a column that nothing may ask for
            cells[name] = str(value)
    return sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def _quoted(value: Any) -> str:
    return json.dumps(str(value), ensure_ascii=False)
