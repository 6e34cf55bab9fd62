"""Lines of a journal and their events: `to_json` and `from_json`.

A line is a JSON object: `event` (its name in `KINDS`), `time` (seconds since 1970), `clock` (seconds of a clock that
nobody sets, to be compared within one process) and the fields of the kind, some of them under an older name
(`ON_DISK`). A field that has its default is left out; a number that is not finite is `null`, and `not_finite` says
which (`budget/plain_json.py`).
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from perdure.agent.run.event import Event
from perdure.agent.run.events import KINDS, SCHEMA, Measured
from perdure.budget.errors import RunError
from perdure.budget.estimate import UNMEASURED
from perdure.budget.plain_json import from_words, with_words
from perdure.curriculum.worlds.registry import default_world

ABOUT_A_LINE = ("event", "time", "clock")
"""The fields of a line that are no part of what happened."""

ON_DISK = {"upper_bound": "bound", "required_kl": "need", "remaining_kl": "left"}
"""Fields that have another name in the journal."""


def to_json(event: Event) -> dict[str, Any]:
    """The line of an event."""
    kind = next(name for name, one in KINDS.items() if one is type(event))
    usual = {one.name for one in fields(event) if getattr(event, one.name) == one.default}
    row = {ON_DISK.get(name, name): value for name, value in asdict(event).items() if name not in usual}
    more = {"within": event.within} if isinstance(event, Measured) else {}
    return with_words({"event": kind, "time": event.time} | row | more)


def from_json(line: Mapping[str, Any]) -> Event:
    """The event of a line.

    Raises:
        RunError: a later version wrote it.
        LookupError, TypeError, ValueError: it is no line of a journal.
    """
    row = _completed(from_words(line))
    if row.get("schema", SCHEMA) > SCHEMA:
        raise RunError(f"a later perdure wrote it (schema {row['schema']}; this one reads up to {SCHEMA})")
    names = {key: name for name, key in ON_DISK.items()}
    fields = {names.get(key, key): value for key, value in row.items()}
    try:
        found: Event = _adapter(row["event"]).validate_python(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ValueError(f"{row['event']}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
    return found


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[kind])


_UNMEASURED = asdict(UNMEASURED)
OLDER: dict[str, dict[str, Any]] = {
    "started": {key: {} for key in ("curriculum", "versions", "resolved", "data")} | {"schema": 1, "base_sha256": ""},
    "price": {"floor_interval": None},
    "decision": {"candidates": (), "cap": None, "share": None, "steps_spent": 0},
    "reading": {
        "kl_policy_to_base_per_token": _UNMEASURED,
        "total_variation_per_token": _UNMEASURED,
        "l2_distributions_per_token": _UNMEASURED,
    },
}
"""Fields that lines of schema 1 may lack."""


def _completed(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line with what those of schema 1 may lack. One of a resumed run may be of either."""
    row = {"clock": None} | OLDER.get(line["event"], {}) | dict(line)
    match row["event"]:
        case "started":
            row["world"] = row.get("world") or default_world().name
            row.setdefault("base_id", row["base_sha256"])
        case "reading":
            row.setdefault("bound", row["kl_per_sequence" if row["unit"] == "sequence" else "kl_per_token"]["value"])
            if row.get("predicted_forgetting"):
                older = {"benchmarks": (), "level": 0.95, "other_prompts": False}
                row["predicted_forgetting"] = older | row["predicted_forgetting"]
        case "intervention" if row["action"] == "recover":
            row.setdefault("undone", "undone" in row["target"])
    return row
