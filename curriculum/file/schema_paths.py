"""The schema at a path of a curriculum: its section, its keys and their types."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

from perdure.curriculum.messages import Path
from perdure.curriculum.schema import Curriculum

Type: TypeAlias = Any
"""A type annotation."""


def origin_of(annotation: Type) -> Any:
    """`list` for `list[int]`, `None` for `int` (typing's own signature does not know every origin)."""
    return get_origin(annotation)


def members(annotation: Type) -> tuple[Type, ...]:
    """The types of a union, without `None`; one type for anything else."""
    if origin_of(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if origin_of(annotation) in (Union, UnionType):
        return tuple(one for each in get_args(annotation) for one in members(each) if one is not NoneType)
    return (annotation,)


def is_section(annotation: Type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def tag_of(section: type[BaseModel]) -> str | None:
    """The value of `type` that stands for a section, or `None` if there is only one kind of section."""
    kind = section.model_fields.get("type")
    choices = get_args(kind.annotation) if kind is not None and get_origin(kind.annotation) is Literal else ()
    return str(choices[0]) if len(choices) == 1 else None


def sections_of(annotation: Type, data: Any = None) -> tuple[type[BaseModel], ...]:
    """The sections that an annotation allows; if `data` is known, the one that its `type` names or that needs none."""
    found = tuple(one for one in members(annotation) if is_section(one))
    named = tuple(one for one in found if isinstance(data, dict) and tag_of(one) == data.get("type", _default_tag(one)))
    return named or found


def _default_tag(section: type[BaseModel]) -> object:
    """The default `type` of a section; an object equal to nothing if it is required."""
    kind = section.model_fields.get("type")
    return object() if kind is None or kind.is_required() else kind.default


def keys_of(annotation: Type, data: Any = None) -> tuple[str, ...]:
    """The keys of the sections of an annotation."""
    return tuple(dict.fromkeys(key for section in sections_of(annotation, data) for key in section.model_fields))


def type_below(annotation: Type, part: str | int, data: Any = None) -> Type | None:
    """The type of one key or list entry below an annotation, or `None` if there can be none."""
    for section in sections_of(annotation, data):
        if part in section.model_fields:
            return section.model_fields[str(part)].annotation
    for one in members(annotation):
        if origin_of(one) is dict and isinstance(part, str):
            return get_args(one)[1]
        if origin_of(one) is list and isinstance(part, int):
            return get_args(one)[0]
    return Any if annotation is Any else None


def type_at(path: Path, data: Any, root: type[BaseModel] = Curriculum) -> Type | None:
    """The type at a path of a file of the schema `root` that holds `data`, or `None` if there is no such path."""
    here: Type | None = root
    for part in path:
        here = type_below(here, part, data)
        data = data[part] if _has(data, part) else None
        if here is None:
            return None
    return here


def describe_key(path: Path, data: Any) -> str:
    """The description of a key, or of the section that it holds."""
    around = type_at(path[:-1], data)
    for section in sections_of(around, _value(path[:-1], data)) if around is not None else ():
        field = section.model_fields.get(str(path[-1]))
        if field is not None:
            words = field.description or next(map(summary_of, held_sections(field.annotation)), "")
            values = kinds_of(around) if tag_of(section) and path[-1] == "type" else allowed(field.annotation)
            listed = ", ".join(f"`{value}`" for value in values if f"`{value}`" not in words)
            return "; ".join(part for part in (words, f"one of {listed}" if listed else "") if part)
    return ""


def kinds_of(annotation: Type) -> tuple[str, ...]:
    """The values of `type` that distinguish the sections of a union."""
    return tuple(tag for section in sections_of(annotation) if (tag := tag_of(section)) is not None)


def allowed(annotation: Type) -> tuple[Any, ...]:
    """The values of a type that is one list of literals; empty for any other."""
    kinds = members(annotation)
    return get_args(kinds[0]) if len(kinds) == 1 and origin_of(kinds[0]) is Literal else ()


def held_sections(annotation: Type) -> tuple[type[BaseModel], ...]:
    """The sections that a key holds, directly or as the entries of a list."""
    inner = tuple(get_args(one)[0] for one in members(annotation) if origin_of(one) is list)
    return sections_of(annotation) + tuple(one for entry in inner for one in sections_of(entry))


def summary_of(section: type[BaseModel]) -> str:
    """The first paragraph of a section's docstring, on one line."""
    return " ".join((section.__doc__ or "").split("\n\n")[0].split())


def _value(path: Path, data: Any) -> Any:
    for part in path:
        data = data[part] if _has(data, part) else None
    return data


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def path_of(loc: Path, root: type[BaseModel] = Curriculum) -> tuple[Path, bool]:
    """Pydantic's `loc` as a path of the file, without the labels of union members; and whether a key is meant."""
    path: Path = ()
    here: Type | None = root
    for part in loc:
        kinds = members(here) if here is not None else ()
        if part == "[key]":
            return path, True
        if len(kinds) > 1:
            here = next((one for one in kinds if _label(one) == part), None)
        else:
            here = type_below(here, part) if here is not None else None
            path = (*path, part)
    return path, False


def _label(annotation: Type) -> str:
    """The name that pydantic gives a member of a union in `loc`."""
    if is_section(annotation):
        return tag_of(annotation) or annotation.__name__
    return str(annotation).lower() if get_origin(annotation) else annotation.__name__


def homes(key: str, annotation: Type, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths below an annotation of the sections that have a key, nearest first."""
    inner: list[tuple[Type, tuple[str, ...]]] = []
    for section in sections_of(annotation):
        if key in section.model_fields:
            yield path
        inner += [(field.annotation, (*path, name)) for name, field in section.model_fields.items()]
    for deeper, there in inner:
        yield from homes(key, deeper, there)
