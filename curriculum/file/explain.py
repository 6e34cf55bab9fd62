"""Pydantic's errors in plain words: one fault each, with its line and what would be right."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.file.library import library_of
from perdure.curriculum.file.other_words import own_word
from perdure.curriculum.file.world_faults import is_foreign, world_of
from perdure.curriculum.messages import Path, did_you_mean, one_of, show_path, show_value
from perdure.curriculum.schema import Curriculum

MAX_ERRORS = 500
"""Errors that are explained: nobody reads more, and explaining one takes milliseconds."""

RULE_MESSAGES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "dict_type": "must be a map of keys",
    "model_type": "must be a map of keys",
    "model_attributes_type": "must be a map of keys",
    "list_type": "must be a list",
    "string_too_short": "must not be empty",
    "too_long": "must have at most {max_length} entries",
    "string_too_long": "must have at most {max_length} characters",
    "finite_number": "must be a finite number",
    "too_short": "must have {min_length} or more entries",
    "greater_than": "must be greater than {gt:.10g}",
    "greater_than_equal": "must be at least {ge:.10g}",
    "less_than": "must be less than {lt:.10g}",
    "less_than_equal": "must be at most {le:.10g}",
    "literal_error": "must be {expected}",
    "rule": "{message}",
}
EXAMPLES: dict[Path, str] = {
    ("model",): "model: {model_name_or_path: builtin:tiny}",
    ("budget",): "budget: {kl: 1.0}",
    ("budget", "kl"): "kl: 1.0",
    ("strategy",): "strategy: {type: fixed, method: sft}",
    ("stages",): "stages: [{name: sums, task: {type: reasoning_gym, dataset: chain_sum}}]",
}
"""What a section of a curriculum looks like that is missing or empty."""

PATTERN_MESSAGES = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": "must be 1 to 64 letters, digits, '_', '.' or '-', a letter or digit first",
    r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$": "must be a dotted path, `module:function`",
    r"^(auto|cpu|mps|xpu|cuda(:\d{1,2})?)$": "must be `auto`, `cpu`, `cuda`, `cuda:N`, `mps` or `xpu`",
    r"^(info|return *>=? *-?\d+(\.\d+)?([eE][+-]?\d+)?|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$": (
        "must be `info`, `return > X`, `return >= X`, or a dotted path, `module:function`"
    ),
    r"\{instruction\}": "must hold `{instruction}`, where the instruction stands",
    r"^[A-Za-z0-9][\w./:@-]*$": "must be the name of an image, such as `localhost/python:3.12`",
    r"^https?://\S+$": "must be an http address, such as http://localhost:8000",
    r"^[\w.-]+(:[A-Za-z_]\w*)?$": "must be `module:name`, or the name of an entry point",
}


def faults_of(error: ValidationError, document: Document, root: type[BaseModel] = Curriculum) -> list[Fault]:
    """The errors of a file of the schema `root`; those of one union's members are one fault."""
    grouped: dict[Path, list[dict[str, Any]]] = {}
    for detail in error.errors(include_url=False)[:MAX_ERRORS]:
        path, at_key = schema_paths.path_of(detail["loc"], root)
        path += tuple(detail.get("ctx", {}).get("at", ()))
        if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
            path = (*path, "type")
        at_key = at_key or detail["type"] == "extra_forbidden"
        grouped.setdefault(path, []).append({**detail, "at_key": at_key})
    return [_fault(path, each, document, root) for path, each in grouped.items() if not _is_shadowed(path, grouped)]


def _is_shadowed(path: Path, grouped: Iterable[Path]) -> bool:
    """True if a longer path has an error, too: the union member that got further explains more."""
    return any(len(other) > len(path) and other[: len(path)] == path for other in grouped)


def _fault(path: Path, details: list[dict[str, Any]], document: Document, root: type[BaseModel]) -> Fault:
    detail = details[0]
    place = document.place(path, at_key=detail["at_key"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        return Fault(place, path, "unknown key" + _where_instead(path, document, root))
    example = EXAMPLES.get(path) if root is Curriculum and document.get(path) is None else None
    shown = "" if example is None else f"; for example `{example}`"
    if kind == "missing":
        return Fault(place, path, f"required key is missing{shown}")
    if kind.startswith("union_tag"):
        choices = [str(schema_paths.tag_of(one)) for one in _alternatives(path, document, root)]
        if kind == "union_tag_not_found":
            return Fault(place, path, f"required key is missing; it must be {one_of(choices)}")
        value = document.get(path)
        return Fault(place, path, f"must be {one_of(choices)}; got {show_value(value)}{did_you_mean(value, choices)}")
    if kind in ("rule", "value_error"):
        return Fault(place, path, _rule(detail))
    value = path[-1] if detail["at_key"] else document.get(path)
    rules = " or ".join(dict.fromkeys(_rule(each) for each in details)).replace(" or must be ", " or ")
    if {each["type"] for each in details} == {"literal_error", "list_type"}:
        rules = rules.replace(" or a list", ", or a list of them")
    return Fault(place, path, f"{rules}; got {show_value(value)}{_nearest(value, path, details, document)}{shown}")


def _alternatives(path: Path, document: Document, root: type[BaseModel]) -> tuple[Any, ...]:
    return schema_paths.sections_of(schema_paths.type_at(path[:-1], document.data, root))


def _rule(detail: dict[str, Any]) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "string_pattern_mismatch":
        return PATTERN_MESSAGES.get(context["pattern"], f"must match {context['pattern']}")
    template = RULE_MESSAGES.get(detail["type"])
    if template is not None:
        return template.format(**context)
    plain: str = detail["msg"].removeprefix("Value error, ")
    return plain.replace("Input should be", "must be")


def _nearest(value: Any, path: Path, details: list[dict[str, Any]], document: Document) -> str:
    """The suggestion for a value: a word of the list, or a number without its quotes or needless fraction."""
    words = [word for one in details for word in _literals(one, path, document)]
    if words and isinstance(value, str):
        return did_you_mean(value, words)
    if not any(one["type"] in ("int_type", "float_type", "int_from_float") for one in details):
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return ""
    whole = any(one["type"] != "float_type" for one in details)
    if isinstance(value, bool) or not abs(number) < 1e15 or (whole and not number.is_integer()):
        return ""
    return f"; did you mean {int(number) if whole else number}?"


def _literals(detail: dict[str, Any], path: Path, document: Document) -> list[str]:
    if detail["type"] != "literal_error":
        return []
    expected = str(detail["ctx"]["expected"])
    return [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]


def _where_instead(path: Path, document: Document, root: type[BaseModel]) -> str:
    """The hint for an unknown key: perdure's word for it, its section, TRL's own place for it, or the nearest key."""
    *parent, key = path
    taught = own_word(path, document) if root is Curriculum else ""
    if taught:
        return taught
    around = schema_paths.type_at(tuple(parent), document.data, root)
    word, inside = str(key), document.get(tuple(parent))
    known = [key for key in schema_paths.keys_of(around, inside) if not is_foreign(key, document)]
    for home in schema_paths.homes(word, around):
        if home and home[0] in known:
            return f"; it belongs in `{show_path((*parent, *home))}`"
    if word in Curriculum.model_fields and root is Curriculum:
        return f"; `{word}` stands at the top of the file, outside every section"
    library = library_of(world_of(document))
    if library is not None and library.KEY in known and library.is_field(word):
        return f"; {library.KEY.upper()}'s own fields go under `{show_path((*parent, library.KEY))}`"
    return did_you_mean(word, known) or f"; known here: {', '.join(known)}"
