"""The reference as one page: a section a class of the schema, every setting once, an example each."""

import re
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.library import library_of
from perdure.curriculum.file.reference import methods
from perdure.curriculum.file.reference.examples import EXAMPLES
from perdure.curriculum.file.reference.text import INTRODUCTION
from perdure.curriculum.file.reference.types import default_of, limits, type_of
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.train import Train
from perdure.curriculum.worlds.registry import worlds

Headings = dict[type[BaseModel], str]
SettingRows = dict[str, tuple[str, str, str]]
"""The type, default and meaning of each setting of a section."""
SHARED = frozenset(
    name for name, field in Train.model_fields.items() if not schema_paths.held_sections(field.annotation)
)
"""The settings of `train` itself."""


def reference_markdown() -> str:
    """The whole reference as Markdown."""
    headings = sections()
    anchors = {heading.removeprefix("train."): anchor(heading) for heading in headings.values()}
    parts = [INTRODUCTION.replace("METHODS", methods.methods_table(anchors))]
    before: list[tuple[str, SettingRows]] = []
    for section, heading in headings.items():
        rows = _rows(section, headings)
        parts.append("\n\n".join(_section(section, heading, rows, before)) + "\n")
        before.append((heading, rows))
    libraries = [library.reference() + "\n" for spec in worlds().values() if (library := library_of(spec)) is not None]
    return "\n".join([*parts, *libraries])


def sections() -> Headings:
    """Every section once, by the keys of the curriculum, with its heading: `model: mlp`, `stages.task: dataset`.

    Recipes are left out: they take the settings of their parts.
    """
    headings: Headings = {Curriculum: "The top of the file"}
    waiting: list[tuple[type[BaseModel], str]] = [(Curriculum, "")]
    for section, path in waiting:  # grows while it is walked
        for name, field in section.model_fields.items():
            inner = f"{path}.{name}" if path else name
            found = schema_paths.held_sections(field.annotation)
            for held in found:
                if held not in headings and not (path == "train" and methods.is_recipe_only(name)):
                    kind = schema_paths.tag_of(held) or (held.__name__.lower() if len(found) > 1 else None)
                    heading = f"{inner}: {kind}" if kind else inner
                    taken = heading in headings.values()
                    headings[held] = f"{inner}: {schema_paths.tag_of(section)}" if taken else heading
                    waiting.append((held, inner))
    order = list(Curriculum.model_fields)
    return dict(sorted(headings.items(), key=lambda one: one[0] is not Curriculum and 1 + order.index(_top(one[1]))))


def _top(heading: str) -> str:
    """The key of the curriculum below which a section stands."""
    return re.split("[.:]", heading)[0]


def _rows(section: type[BaseModel], headings: Headings) -> SettingRows:
    """The rows of a section; of a method only its own, of `train` without the sections of methods."""
    method = headings[section].removeprefix("train.") if headings[section].startswith("train.") else None
    own = set(section.model_fields) if method is None else methods.settings_of(method) - SHARED
    if method is not None:
        own |= {name for name in _narrower(section) if name in methods.settings_of(method)}
    tagged = schema_paths.tag_of(section) is not None
    fields = {name: field for name, field in section.model_fields.items() if name in own}
    defaults = {name: _default(section, name, method) for name in fields}
    return {
        name: (_type(field, headings), defaults[name], _meaning(field, bool(method) and "–" not in defaults[name]))
        for name, field in fields.items()
        if not (tagged and name == "type") and not (section is Train and name not in SHARED)
    }


def _narrower(section: type[BaseModel]) -> Iterator[str]:
    """The settings of `train` that mean another thing in the section of a method."""
    for name in SHARED & set(section.model_fields):
        ours, theirs = section.model_fields[name], Train.model_fields[name]
        if limits(ours) != limits(theirs) or _unmarked(_meaning(ours)) != _unmarked(_meaning(theirs)):
            yield name


def _section(
    section: type[BaseModel], heading: str, rows: SettingRows, before: list[tuple[str, SettingRows]]
) -> Iterator[str]:
    """The paragraphs of a section."""
    yield f"## {heading}"
    method = heading.removeprefix("train.") if heading.startswith("train.") else None
    also, own = _shared_with(rows, [one for one in before if _top(one[0]) == _top(heading)])
    if method is None:
        yield schema_paths.summary_of(section)
    elif SHARED & methods.settings_of(method) - set(rows):
        yield _of_objective(method, rows)
    else:
        yield f"The modifier `+{method}`, beside any objective."
    for place, names in also.items():
        yield f"Also, as in [{place}](#{anchor(place)}): {', '.join(names)}."
    if own:
        lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
        yield "\n".join(lines + [f"| {' | '.join(map(_cell, (f'`{name}`', *cells)))} |" for name, cells in own.items()])
    if section is Train:
        yield METHOD_SECTIONS
    if heading in EXAMPLES:
        yield f"```yaml\n{EXAMPLES[heading].strip()}\n```"


METHOD_SECTIONS = "A section below `train` with the name of a method has settings of that method, which override these."


def _of_objective(method: str, rows: SettingRows) -> str:
    """Which settings of `train` an objective takes, and which defaults of them are its own."""
    without = methods.not_taken(method, SHARED)
    takes = "Takes the settings of [train](#train)" + (f" but {_words(without)}" if without else "")
    others = methods.other_defaults(method, SHARED - set(rows))
    return takes + (f". Own defaults: {others}." if others else ".")


def _shared_with(rows: SettingRows, before: list[tuple[str, SettingRows]]) -> tuple[dict[str, list[str]], SettingRows]:
    """The settings that stand in an earlier section of the same key, by section; and the others."""
    also: dict[str, list[str]] = {}
    own: SettingRows = {}
    for name, (kind, default, meaning) in rows.items():
        same = (place for place, theirs in before if _same(theirs.get(name), kind, meaning))
        place = next(same, None)
        if place is None:
            own[name] = (kind, default, meaning)
        else:
            differs = default != dict(before)[place][name][1]
            also.setdefault(place, []).append(f"`{name}`" + f" (default {default})" * differs)
    return also, own


def _same(cells: tuple[str, str, str] | None, kind: str, meaning: str) -> bool:
    return cells is not None and cells[0] == kind and _unmarked(cells[2]) == _unmarked(meaning)


def _unmarked(meaning: str) -> str:
    """A meaning without the worlds that have the setting."""
    return re.sub(r"; [a-z]+( and [a-z]+)* world$", "", meaning)


def _type(field: FieldInfo, headings: Headings) -> str:
    held = [one for one in schema_paths.held_sections(field.annotation) if one in headings]
    if held:
        links = " or ".join(f"[{headings[one]}](#{anchor(headings[one])})" for one in held)
        return f"list of {links}" if schema_paths.sections_of(field.annotation) == () else links
    return type_of(field.annotation) + limits(field)


def _default(section: type[BaseModel], name: str, method: str | None) -> str:
    plain = default_of(section.model_fields[name])
    if section is Train:
        return methods.default_of_train(name)
    return plain if method is None else methods.default_of_method(method, name, plain)


def _meaning(field: FieldInfo, without_default: bool = False) -> str:
    """The description, on demand without a default that has a column."""
    if field.description is None and schema_paths.allowed(field.annotation):
        return "the kind of section"
    text = field.description or ""
    return re.sub(r"[;,] (the )?default( [^;,]*`| [\d.]+)?(?=[;,]|$)", "", text) if without_default else text


def _words(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
