"""Train settings: for all methods, for one, or for one stage; and which of them wins."""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    create_model,
    field_validator,
    model_serializer,
)

from perdure.budget.config import Frozen
from perdure.curriculum.settings import Common, not_0
from perdure.curriculum.worlds.contract import WorldSpec
from perdure.curriculum.worlds.methods import Method, MethodSpec, Recipe
from perdure.curriculum.worlds.registry import section_names, worlds


class TrainSections(Frozen):
    """Settings that all methods share, and sections for one method each, which override them."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Dumps only what is set: when a resume reads it again, a default that was written out would count as set."""
        return _set_in(self, dump(self))


def _set_in(section: BaseModel, dumped: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in dumped.items() if name in section.model_fields_set}
    for name, value in kept.items():
        inner = getattr(section, name)
        if isinstance(inner, BaseModel):
            kept[name] = _set_in(inner, value)
    return kept


def section_settings(spec: WorldSpec, name: str) -> tuple[type[Frozen], ...]:
    """The settings of a section of `train` in a world: those of the objective or modifier, and of a recipe's parts.

    A recipe with the name of a modifier shares its section; settings of other parts hold for the recipe alone.
    """
    parts = spec.objectives | spec.modifiers
    recipe = next((one for one in spec.recipes if one.name == name), None)
    names = [] if recipe is None else [recipe.objective, *recipe.modifiers]
    return tuple(dict.fromkeys(parts[one].settings for one in [*names, name] if one in parts))


def _section(name: str) -> type[Frozen]:
    """One section for all worlds that have this name; a setting that only some of them have names these."""
    found = {world: section_settings(spec, name) for world, spec in worlds().items() if name in spec.parts}
    recipes = [one for world in found for one in worlds()[world].recipes if one.name == name]
    bases = _bases(base for some in found.values() for base in some)
    summary = recipes[0].summary if recipes else bases[0].__doc__
    fields = {
        key: info for world in reversed(found) for base in found[world] for key, info in base.model_fields.items()
    }
    checks = {f"_{key}": _nonzero(key, recipes[0]) for key in sorted(frozenset().union(*(r.nonzero for r in recipes)))}
    marked = {key: (info.annotation, _marked(key, info, found)) for key, info in fields.items()}
    title = "".join(word.capitalize() for word in name.split("_"))
    return create_model(f"{title}Train", __base__=bases, __doc__=summary, __validators__=checks, **marked)  # type: ignore[call-overload, no-any-return]


def _bases(classes: Iterable[type[Frozen]]) -> tuple[type[Frozen], ...]:
    """Each class once, without the base classes of another one."""
    found = list(dict.fromkeys(classes))
    return tuple(one for one in found if not any(one is not other and issubclass(other, one) for other in found))


def _marked(key: str, info: Any, found: Mapping[str, tuple[type[Frozen], ...]]) -> Any:
    having = [world for world, bases in found.items() if any(key in base.model_fields for base in bases)]
    if len(having) == len(found):
        return info
    marked = copy(info)
    marked.description = f"{info.description}; {' and '.join(having)} world"
    return marked


def _nonzero(key: str, recipe: Recipe) -> Any:
    remedy = f"without its term this method is `{recipe.objective}`; name that one instead"
    return field_validator(key, mode="before")(lambda value: not_0(value, remedy))


if TYPE_CHECKING:
    Train = TrainSections
else:

    def _train() -> type[TrainSections]:
        shared = {name: spec.settings for name, spec in worlds().items()}
        bases = _bases(base for some in shared.values() for base in some)
        fields = {key: info for base in bases for key, info in base.model_fields.items()}
        marked = {key: (info.annotation, _marked(key, info, shared)) for key, info in fields.items()}
        below = {name: _section(name) for name in section_names()}
        globals().update({one.__name__: one for one in below.values()})  # where pickle looks for a class
        own = {
            name: (
                Annotated[one, Field(description=f"settings of `{name}`; they override the shared ones")],
                one.model_construct(),
            )
            for name, one in below.items()
        }
        return create_model("Train", __base__=(TrainSections, *bases), __doc__=TrainSections.__doc__, **marked, **own)

    Train = _train()


@dataclass(frozen=True)
class MethodSettings:
    """The settings of a method in one stage: those of its objective, and of each modifier by name."""

    objective: Common
    modifiers: Mapping[str, Any]


def settings_for(method: Method, everywhere: TrainSections, stage: TrainSections) -> MethodSettings:
    """The settings of one method in one stage.

    From weakest to strongest: the curriculum's `train`, its sections for the objective's parent, the objective and the
    recipe, then the same of the stage. A modifier has its own section and that of the recipe. Only values that the
    file sets count; `trl` dictionaries are merged key by key. Only a recipe's own section overrides the recipe's
    settings; a 0 elsewhere in its `nonzero` settings does not count; `learning_rate_share` is of a rate from elsewhere.
    """
    modifiers = {one.name: _modifier_settings(method, one, (everywhere, stage)) for one in method.modifiers}
    return MethodSettings(_objective_settings(method, (everywhere, stage)), modifiers)


def _objective_settings(method: Method, trains: tuple[TrainSections, TrainSections]) -> Common:
    spec, recipe = method.objective, method.recipe
    fields = spec.settings.model_fields
    names = [name for name in (spec.parent, spec.name, recipe and recipe.name) if name]
    merged: dict[str, Any] = {**recipe.defaults, **recipe.settings} if recipe else {}
    trl: dict[str, Any] = {}
    rate_is_own = False
    for train in trains:
        for layer, own in ((train, None), *((getattr(train, name), name == names[-1]) for name in names)):
            given = _given(method, layer, own)
            rate_is_own = bool(own) if "learning_rate" in given else rate_is_own
            merged |= given
            trl |= getattr(layer, "trl", {})
    merged = {name: value for name, value in merged.items() if name in fields}
    share = merged.get("learning_rate_share")
    if share is not None and "learning_rate" in merged:
        merged["learning_rate"] *= 1 if rate_is_own else share
        del merged["learning_rate_share"]
    return spec.settings(**(merged | ({"trl": trl} if "trl" in fields else {})))  # type: ignore[return-value]


def _modifier_settings(method: Method, spec: MethodSpec, trains: tuple[TrainSections, TrainSections]) -> Frozen:
    recipe = method.recipe if method.recipe is not None and spec.name in method.recipe.modifiers else None
    merged: dict[str, Any] = dict(spec.defaults)
    for train in trains:
        if recipe is not None:
            given = _given(method, train, own=None)
            merged |= {name: value for name, value in given.items() if name in recipe.shared}
        for name in dict.fromkeys((spec.name, *((recipe.name,) if recipe else ()))):
            merged |= _given(method, getattr(train, name), own=True)
    return spec.settings(**{name: value for name, value in merged.items() if name in spec.settings.model_fields})


def _given(method: Method, layer: BaseModel, own: bool | None) -> dict[str, Any]:
    """The values that a section sets and that are meant for the method; `own` is `None` for what all methods share."""
    recipe = method.recipe
    others = method.objective.unshared if own is None else frozenset()
    zeros: frozenset[str] = frozenset()
    if recipe is not None and not own:
        others, zeros = others | frozenset(recipe.settings), recipe.nonzero
    given = layer.model_dump(include=layer.model_fields_set - others, exclude_none=True)
    return {name: value for name, value in given.items() if name not in zeros or value != 0}
