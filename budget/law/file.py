"""A law in a JSON file: written, read, and refused where it is damaged."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.budget.files import write_atomic
from perdure.budget.law.json_fields import Reader, count, list_of, number, optional_number, read_fields, text
from perdure.budget.law.saved import Coverage, Law

FORMAT = 1
_MARK = "perdure law"


def save_law(law: Law, path: Path) -> None:
    """Write a law atomically; the folder must exist.

    Raises:
        OSError: the file cannot be written.
    """
    content = {"what": _MARK, "format": FORMAT, **told(law)}
    write_atomic(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def told(law: Law) -> dict[str, Any]:
    """All that a law says, without what a file may lack and this law lacks."""
    return {name: value for name, value in asdict(law).items() if name not in _OPTIONAL or value != _OPTIONAL[name]}


def load_law(path: str | Path) -> Law:
    """Read a law.

    Raises:
        ConfigError: the file is missing, unreadable, no law, of another format, or damaged.
    """
    try:
        content = json.loads(Path(path).read_bytes(), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; make a law by perdure law RUN… --save {path}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ConfigError(
            f"{path}: no law, or a law cut off: not JSON ({error}); make one by perdure law RUN… --save FILE"
        ) from error
    if not isinstance(content, dict) or content.get("what") != _MARK:
        raise ConfigError(f"{path}: not a law saved by perdure; make one by perdure law RUN… --save FILE")
    if content.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: a law of format {content.get('format')!r}; this perdure reads format {FORMAT}; {_remedy(path)}"
        )
    try:
        return _law({key: value for key, value in content.items() if key not in ("what", "format")})
    except ValueError as error:
        raise ConfigError(f"{path}: a damaged law: {error}; {_remedy(path)}") from error


def _remedy(path: str | Path) -> str:
    return f"make it again by perdure law RUN… --save {path}"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed in a law")


def _law(content: Mapping[str, Any]) -> Law:
    lacking = {name: list(value) if isinstance(value, tuple) else value for name, value in _OPTIONAL.items()}
    return Law(**read_fields({**lacking, **content}, Law, _LAW))


def _coverage(name: str, value: Any) -> Coverage:
    return Coverage(**read_fields(value, Coverage, _COVERAGE))


def _optional_coverage(name: str, value: Any) -> Coverage | None:
    return None if value is None else _coverage(name, value)


_GENERIC = ("kl_generic", "forgetting_generic", "width_forgetting")
_OPTIONAL: Mapping[str, Any] = {field.name: field.default for field in fields(Law) if field.default is not MISSING}
"""Fields that a file may lack, and what they are then."""

LATER: Mapping[str, Any] = {"predictor": "task", **dict.fromkeys(_GENERIC, ()), "model": "", "probe": ""}
"""Fields that came later: a law without them is the same as it was before."""

_COVERAGE: Mapping[str, Reader] = {
    "covered": number,
    "low": optional_number,
    "high": optional_number,
    "points": count,
    "runs": count,
}
_LAW: Mapping[str, Reader] = {
    **dict.fromkeys(("world", "base", "unit", "prompts"), text),
    **dict.fromkeys(("benchmarks", "methods"), list_of(text)),
    **dict.fromkeys(("kl", "forgetting", "width_kl", "below", "above"), list_of(number)),
    "level": number,
    **dict.fromkeys(("predictor", "model", "probe"), text),
    **dict.fromkeys(_GENERIC, list_of(number)),
    "coverage": _coverage,
    "coverage_methods": _optional_coverage,
    "coverage_seeds": _optional_coverage,
    "base_entropy": optional_number,
    "base_entropy_most": optional_number,
    "runs": count,
    "points": count,
}
