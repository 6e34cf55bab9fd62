"""The methods of the reference: their table, their defaults, and the settings that each shares with others."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from perdure.curriculum.file.reference.types import shown
from perdure.curriculum.file.schema_paths import summary_of
from perdure.curriculum.worlds.learnable import needs_of
from perdure.curriculum.worlds.methods import MethodSpec, Recipe
from perdure.curriculum.worlds.registry import worlds


def methods_table(anchors: Mapping[str, str]) -> str:
    """A row for each objective, modifier and recipe of any world; `anchors` are those of sections of `train`."""
    rows: dict[tuple[str, str], list[str]] = {}
    for spec in worlds().values():
        for one in spec.methods:
            row = [summary_of(one.settings).removesuffix("."), needs_of(one) or "–"]
            rows.setdefault((one.kind, one.name), row).append(spec.name)
        for recipe in spec.recipes:
            row = [_meaning(recipe), needs_of(spec.method(recipe.name))]
            rows.setdefault(("recipe", recipe.name), row).append(spec.name)
    lines = ["| kind | method | meaning | needs | worlds |", "|---|---|---|---|---|"]
    for kind in ("objective", "modifier", "recipe"):
        for (_, name), (meaning, needs, *where) in (row for row in rows.items() if row[0][0] == kind):
            word = f"`{'+' * (kind == 'modifier')}{name}`"
            linked = f"[{word}](#{anchors[name]})" if name in anchors and kind != "recipe" else word
            shared = "all" if len(where) == len(worlds()) else ", ".join(where)
            lines.append(f"| {kind} | {linked} | {meaning} | {needs} | {shared} |")
    return "\n".join(lines) + "\n"


def _meaning(recipe: Recipe) -> str:
    says_all = recipe.is_abbreviation or not recipe.summary
    return recipe.meaning if says_all else f"{recipe.meaning}: {recipe.summary.removesuffix('.')}"


def is_recipe_only(name: str) -> bool:
    """True for a section of `train` that is that of no objective and no modifier."""
    return not list(_rows(name)) and any(one.name == name for spec in worlds().values() for one in spec.recipes)


def settings_of(name: str) -> frozenset[str]:
    """The settings of an objective or modifier itself, in any world; not those of a recipe of the same name."""
    return frozenset(key for _, one in _rows(name) for key in one.settings.model_fields)


def default_of_method(name: str, key: str, plain: str) -> str:
    """The default of a method's setting; `plain` is that of the schema."""
    return _listed(
        {world: one.defaults.get(key) for world, one in _rows(name) if key in one.settings.model_fields}, plain
    )


def default_of_train(key: str) -> str:
    """The default that most objectives of each world have for a setting of `train`."""
    return _listed({world: usual for world in worlds() if (usual := _usual(world, key)) != ()}, "–")


def other_defaults(name: str, shared: frozenset[str]) -> str:
    """The `shared` settings whose default for this method is not the usual one: `language: beta 1.0`."""
    found = []
    for world, one in _rows(name):
        keys = [key for key in one.settings.model_fields if key in shared and one.kind == "objective"]
        values = [
            f"`{key}` {_value(one.defaults.get(key))}" for key in keys if one.defaults.get(key) != _usual(world, key)
        ]
        found += [f"{world}: {', '.join(values)}"] * bool(values)
    return "; ".join(found)


def not_taken(name: str, shared: frozenset[str]) -> list[str]:
    """The settings of `train` that an objective lacks in every world."""
    return sorted(shared - settings_of(name))


def _rows(name: str) -> Iterator[tuple[str, MethodSpec]]:
    return ((world, one) for world, spec in worlds().items() for one in spec.methods if one.name == name)


def _usual(world: str, key: str) -> Any:
    """The most frequent default among the objectives of a world that have a setting; `()` if none has it."""
    having = [one for one in worlds()[world].objectives.values() if key in one.settings.model_fields]
    return Counter(one.defaults.get(key) for one in having).most_common(1)[0][0] if having else ()


def _listed(values: Mapping[str, Any], plain: str) -> str:
    """One default if all worlds have the same, else one a world."""
    if set(values.values()) <= {None}:
        return plain
    if len(set(values.values())) == 1:
        return shown(next(iter(values.values())))
    return ", ".join(f"{world} {_value(value)}" for world, value in values.items())


def _value(value: Any) -> str:
    return "–" if value is None else shown(value)
