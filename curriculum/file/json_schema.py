"""The JSON Schemas of a curriculum and of a sweep, by which an editor checks and completes a file."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.schema import Sweep

SCHEMA_FILE = "perdure.schema.json"
"""The file beside a curriculum that its first line names."""

FIRST_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
"""The comment that editors with the YAML language server read."""


class _Untitled(GenerateJsonSchema):
    """Gives no key a title: it would be the key once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def curriculum_schema() -> dict[str, Any]:
    """The schema of a curriculum.

    It has every key, type, limit and description. Rules across keys, and what a world lacks, `perdure validate` knows.
    """
    return _schema(Curriculum, "curriculum")


def sweep_schema() -> dict[str, Any]:
    """The schema of a sweep."""
    return _schema(Sweep, "sweep")


def _schema(root: type[BaseModel], what: str) -> dict[str, Any]:
    found = root.model_json_schema(schema_generator=_Untitled)
    named = {"$schema": _Untitled.schema_dialect, "$id": f"urn:perdure:schema:{what}", "title": f"perdure {what}"}
    limited: dict[str, Any] = _with_limits(found)
    return limited | named


LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""Pydantic's names, which it leaves where a limit is on a union, and those of JSON Schema, which bind numbers alone."""


def _with_limits(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_limits(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        LIMITS.get(key, key) if isinstance(value, int | float) else key: _with_limits(value)
        for key, value in part.items()
    }
