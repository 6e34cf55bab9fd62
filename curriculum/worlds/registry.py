"""The worlds by name: those of perdure, and those that other packages install."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.worlds.contract import ModelSection, Source, WorldSpec
from perdure.curriculum.worlds.methods import MethodError, MethodSpec, Recipe, nearest, offer
from perdure.curriculum.worlds.nouns import Nouns

WORLDS: dict[str, str] = {
    "language": "perdure.curriculum.worlds.language.spec:LANGUAGE",
    "vision": "perdure.curriculum.worlds.vision.spec:VISION",
    "control": "perdure.curriculum.worlds.control.spec:CONTROL",
}
"""Where the `WorldSpec` of each world is. The first is that of a model without a `type`."""

WORLD_GROUP, METHOD_GROUP = "perdure.worlds", "perdure.methods"
"""The entry-point groups of other packages: a `WorldSpec` a name, and a `MethodSpec` or `Recipe` a name."""


@cache
def worlds() -> dict[str, WorldSpec]:
    """Every world by name, each with the methods that other packages add to it.

    Raises:
        ConfigError: an installed entry point cannot be loaded, or is something else.
    """
    specs = [load(path) for path in WORLDS.values()]
    specs += [_loaded(point, WorldSpec) for point in entry_points(group=WORLD_GROUP)]
    added = [_loaded(point, MethodSpec | Recipe) for point in entry_points(group=METHOD_GROUP)]
    found = {}
    for spec in specs:
        mine = [one for one in added if one.world == spec.name]
        methods = tuple(one for one in mine if isinstance(one, MethodSpec))
        found[spec.name] = spec.extended(methods, tuple(one for one in mine if isinstance(one, Recipe)))
    return found


def load(path: str) -> Any:
    """The object at `module:name`, of perdure or of a plug-in."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _loaded(point: Any, kind: Any) -> Any:
    try:
        loaded = point.load()
    except Exception as error:
        raise ConfigError(f"the entry point {point.name!r} of {point.group!r} cannot be loaded: {error}") from error
    if not isinstance(loaded, kind):
        raise ConfigError(f"the entry point {point.name!r} of {point.group!r} is a {type(loaded).__name__}")
    return loaded


def spec_of(world: str) -> WorldSpec:
    """The world of a name."""
    return worlds()[world]


def default_world() -> WorldSpec:
    """The world of a model section without a `type`."""
    return worlds()[next(iter(WORLDS))]


def type_of(section: type[ModelSection | Source]) -> str:
    """The value of `type` that stands for a section."""
    (tag,) = section.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
    return str(tag)


def world_of_type(kind: object) -> WorldSpec | None:
    """The world whose model has this `type`; without one the default world; `None` for an unknown one."""
    if kind is None:
        return default_world()
    return next((spec for spec in worlds().values() if type_of(spec.model) == kind), None)


def owner_of(task: Source) -> WorldSpec:
    """The first world that has a task of this class."""
    return next(spec for spec in worlds().values() if isinstance(task, spec.tasks))


def worlds_with(part: str, *, besides: WorldSpec) -> str:
    """`the vision and control worlds`, those that have a part of a method; empty if `besides` or no world has it."""
    found = [spec.name for spec in worlds().values() if part in spec.parts]
    return "" if part in besides.parts or not found else worlds_named(found)


def worlds_named(names: Sequence[str]) -> str:
    """`the vision world`, `the vision and control worlds`."""
    return f"the {' and '.join(names)} world{'s' if len(names) > 1 else ''}"


def section_names() -> tuple[str, ...]:
    """Every name that a section of `train` may have: the objectives, modifiers and recipes of all worlds."""
    return tuple(dict.fromkeys(name for spec in worlds().values() for name in spec.parts))


def method_name(name: str) -> str:
    """A method as a file names it, without spaces, if its parts exist in some world and can be combined there.

    Raises:
        ValueError: they do not, or cannot; pydantic makes a fault of it.
    """
    bare = name.replace(" ", "")
    parts = bare.split("+")
    for number, part in enumerate(parts):
        if part not in section_names():
            hint = nearest(part, section_names()) or did_you_mean(part, section_names())
            kind = "modifier" if number else "method"
            raise ValueError(f"there is no {kind} {part!r}{hint or f'; {_listed()}'}")
    refusals = []
    for spec in worlds().values():
        if set(parts) <= set(spec.parts):
            try:
                spec.method(bare)
            except MethodError as error:
                refusals.append(error)
            else:
                return bare
    if refusals:
        raise refusals[0]
    return bare


class _MethodPattern:
    """The names of methods as a pattern, for the JSON Schema."""

    @staticmethod
    def __get_pydantic_json_schema__(core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names = dict.fromkeys(name for spec in worlds().values() for name in spec.names)
        modifiers = dict.fromkeys(name for spec in worlds().values() for name in spec.modifiers)
        pattern = rf"^ *({'|'.join(names)}) *(\+ *({'|'.join(modifiers)}) *)*$"
        return {**handler(core), "pattern": pattern, "examples": list(names)}


MethodName = Annotated[str, AfterValidator(method_name), _MethodPattern]
"""A method as a file names it: an objective or a recipe, and modifiers behind a `+`."""


def _listed() -> str:
    modifiers = dict.fromkeys(name for spec in worlds().values() for name in spec.modifiers)
    names = dict.fromkeys(name for spec in worlds().values() for name in spec.names)
    return offer(names, modifiers)


def one_step_answers(world: str) -> bool:
    """True if a response of a world is one token; `False` for a world that is not installed."""
    return world in worlds() and worlds()[world].one_step_answers


def nouns_of(world: str) -> Nouns:
    """The words of a world; the usual ones for a world that is not installed."""
    return worlds()[world].nouns if world in worlds() else Nouns()
