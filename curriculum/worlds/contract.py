"""What a world hands over to the reader, the schema and the strategies: its model, its tasks and its methods.

A world is described by one `WorldSpec`, a method by rows of it. Neither imports torch, nor the code that it names.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from perdure.budget.config import Frozen
from perdure.curriculum.messages import Path, did_you_mean, one_of

Need = Literal["demonstrations", "reward", "base_texts"]
"""What a method cannot do without. `base_texts` are sampled from the base before the first stage."""


class ModelSection(Frozen):
    """A base model, as a curriculum states it; a world's own class adds `type` and whatever else there is to say."""

    WORLD: ClassVar[str]
    AUTO_IS_GPU: ClassVar[bool] = False
    """Whether `device: auto` is a GPU where there is one."""
    IS_SMALL: ClassVar[bool] = False
    """Whether a whole run folder fits in memory."""

    device: Annotated[str, Field(description="`auto`, `cpu`, `cuda`, `cuda:1`, …")] = "auto"
    threads: Annotated[int | Literal["auto"], Field(description="CPU threads; `auto`: one")] = "auto"

    @property
    def world(self) -> str:
        """The name of the world that the model is of."""
        return self.WORLD

    @property
    def title(self) -> str:
        """The model in a few words."""
        raise NotImplementedError

    def drawn_from(self, seed: int) -> int | None:
        """The seed that the base follows from in a run of this seed; `None`: every run begins as the same base."""
        return None

    def refusal(self, method: "Method") -> str | None:
        """Why this model cannot be trained by a method that its world has; `None` if it can."""
        return None


class Source(Frozen):
    """Where the items of a task come from; a world's own class adds `type` and the rest."""

    @property
    def may_demonstrate(self) -> bool | None:
        """Whether items can be imitated; `None` where only the data can tell."""
        return None

    @property
    def may_reward(self) -> bool | None:
        """Whether answers can be rewarded; `None` where only the data can tell."""
        return True

    @property
    def facts(self) -> "Facts":
        """What the file alone says of the task."""
        return Facts(self.may_demonstrate, self.may_reward)


@dataclass(frozen=True)
class Facts:
    """What a task has for a method to learn from; `None` where that is not known yet."""

    demonstrations: bool | None
    reward: bool | None


@dataclass(frozen=True)
class Sizes:
    """The sizes of a policy, in bytes.

    Attributes:
        weights: all weights.
        trained: the weights that are trained.
        matrices: the weight matrices whose update may have a low rank.
        per_rank: the float32 factors of such an update, a unit of rank.
        element: one weight.
        held: a copy of the base that is there anyway.
        has_base: no method needs another copy: the base is held, or is the model with its adapter off.
    """

    weights: int
    trained: int
    matrices: int
    per_rank: int
    element: int
    held: int
    has_base: bool

    @property
    def trained_float32(self) -> int:
        """The trained weights as float32."""
        return self.trained // self.element * 4


def no_bytes(settings: Any, sizes: Sizes) -> int:
    """The method keeps nothing of this kind."""
    return 0


@dataclass(frozen=True)
class MethodSpec:
    """One objective or modifier of one world.

    Attributes:
        settings: its section under `train`.
        code: the module that carries it out.
        needs: what it cannot do without.
        defaults: what it does where the settings say nothing.
        parent: the objective whose sections it takes, too, before its own.
        unshared: settings that it takes from its own section alone, since those of `train` mean another thing.
        refuses: the objectives (of a modifier) with which it means nothing, and why.
        copies: bytes of what it keeps beside the weights, by its settings and the policy's sizes.
        factors: bytes of what the optimiser trains in place of the weights; 0 where it trains these.
    """

    name: str
    world: str
    kind: Literal["objective", "modifier"]
    settings: type[Frozen]
    code: str
    needs: frozenset[Need] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    unshared: frozenset[str] = frozenset()
    refuses: Mapping[str, str] = field(default_factory=dict)
    copies: Callable[[Any, Sizes], int] = no_bytes
    factors: Callable[[Any, Sizes], int] = no_bytes


@dataclass(frozen=True)
class Recipe:
    """A name for one combination with its settings.

    Attributes:
        summary: one sentence.
        settings: what makes it another method than the bare combination; only its own section overrules them.
        defaults: what it does where nothing else is set.
        nonzero: settings that are never 0: a 0 in a section that is not its own is meant for other methods.
        shared: settings of `train` itself that it hands to its modifiers.
    """

    name: str
    world: str
    objective: str
    modifiers: tuple[str, ...] = ()
    summary: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    nonzero: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    @property
    def combination(self) -> str:
        """`sft+replay`."""
        return "+".join((self.objective, *self.modifiers))

    @property
    def is_abbreviation(self) -> bool:
        """Whether the bare combination is the same method."""
        return bool(self.modifiers) and not self.settings and not self.defaults


@dataclass(frozen=True)
class Method:
    """One way to learn a task: an objective, modifiers, and the recipe that names them, if one does."""

    name: str
    objective: MethodSpec
    modifiers: tuple[MethodSpec, ...] = ()
    recipe: Recipe | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """What it cannot do without."""
        return self.objective.needs.union(*(one.needs for one in self.modifiers))

    def has(self, modifier: str) -> bool:
        """Whether a modifier of this name is part of it."""
        return any(one.name == modifier for one in self.modifiers)


class MethodError(ValueError):
    """There is no such method; the message says what is wrong and what would be right."""


def offer(names: Iterable[str], modifiers: Iterable[str]) -> str:
    """The methods to choose from, as words."""
    return (
        f"choose one of {', '.join(map(repr, names))}, and add modifiers: {', '.join(f'+{one}' for one in modifiers)}"
    )


def _no_modifier(recipe: Recipe, objective: MethodSpec) -> str:
    """Why a recipe cannot stand behind an objective, and what can."""
    if not recipe.modifiers:
        return f"`{recipe.name}` is `{recipe.objective}` with other settings, and stands in front of modifiers"
    meant = "+".join((objective.name, *recipe.modifiers))
    return f"`{recipe.name}` is short for `{recipe.combination}`; write `{meant}`"


@dataclass(frozen=True)
class WorldSpec:
    """What a curriculum may say of one world.

    Attributes:
        name: of the folder `curriculum/worlds/NAME`, and of `agent/worlds/NAME`.
        model, tasks: the sections of its model and of its tasks.
        settings: the train settings that its methods share.
        methods, recipes: its methods; the objectives first.
        plugin: the module of `perdure.agent.worlds.contract.WorldPlugin`.
        build: `module:function` that makes a task (see `curriculum/worlds/build.py`).
        paths: `module:function` that finds local paths in a file (see `curriculum/file/local_paths.py`).
        library: the module that knows further settings of a library (see `curriculum/file/library.py`).
        takes: what kind of task its model takes, for a message.
        demonstrations_from, reward_from: how a task comes by them, for a message.
        generic_prompts: `module:function` that reads the prompts of `budget.generic`; `None`: it reads no text.
        one_step_answers: a response is one token, so that nats a token and a sequence are the same.
        lacks: keys of `train` that it does not have, and why.
        ignores: keys of other sections without a meaning here, and why.
        choices: the values of settings whose values a library lists elsewhere.
    """

    name: str
    model: type[ModelSection]
    tasks: tuple[type[Source], ...]
    settings: tuple[type[Frozen], ...]
    methods: tuple[MethodSpec, ...]
    recipes: tuple[Recipe, ...]
    plugin: str
    build: str
    takes: str
    demonstrations_from: str
    reward_from: str = "give it a `reward`"
    paths: str | None = None
    library: str | None = None
    generic_prompts: str | None = None
    one_step_answers: bool = False
    default_schedule: str = "constant"
    lacks: Mapping[str, str] = field(default_factory=dict)
    ignores: Mapping[Path, str] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def reads_text(self) -> bool:
        """Whether lm-eval's benchmarks and generic prompts can be given to its model."""
        return self.generic_prompts is not None

    @property
    def objectives(self) -> dict[str, MethodSpec]:
        """What the gradient can be of, by name."""
        return {one.name: one for one in self.methods if one.kind == "objective"}

    @property
    def modifiers(self) -> dict[str, MethodSpec]:
        """What can stand beside an objective, by name."""
        return {one.name: one for one in self.methods if one.kind == "modifier"}

    @property
    def names(self) -> tuple[str, ...]:
        """The methods that have a name of their own: objectives and recipes. Combinations are beside these."""
        return (*self.objectives, *(one.name for one in self.recipes))

    @property
    def parts(self) -> tuple[str, ...]:
        """Every name that can stand in a method."""
        return (*self.names, *(name for name in self.modifiers if name not in self.names))

    def method(self, name: str) -> Method:
        """The method of a name: an objective or a recipe, `+` and modifiers in any order.

        Raises:
            MethodError: it has none of that name, or the combination means nothing.
        """
        head, *more = name.replace(" ", "").split("+")
        recipe = next((one for one in self.recipes if one.name == head), None)
        if recipe is not None and recipe.is_abbreviation and more:
            written = "+".join((recipe.combination, *more))
            raise MethodError(f"`{head}` is short for `{recipe.combination}`; write `{written}`")
        objective = self._objective(head if recipe is None else recipe.objective)
        modifiers = self._modifiers(objective, (*(recipe.modifiers if recipe else ()), *more))
        if recipe is None:
            found = tuple(one.name for one in modifiers)
            same = (one for one in self.recipes if one.is_abbreviation and one.objective == head)
            recipe = next((one for one in same if set(one.modifiers) == set(found)), None)
        added = [one.name for one in modifiers if recipe is None or one.name not in recipe.modifiers]
        canonical = "+".join((objective.name if recipe is None else recipe.name, *added))
        return Method(canonical, objective, modifiers, recipe)

    def _objective(self, name: str) -> MethodSpec:
        if name in self.modifiers:
            raise MethodError(f"`{name}` is a modifier and stands behind an objective, as in `sft+{name}`")
        if name not in self.objectives:
            raise MethodError(
                f"there is no method {name!r}{did_you_mean(name, self.parts)}; {offer(self.names, self.modifiers)}"
            )
        return self.objectives[name]

    def _modifiers(self, objective: MethodSpec, names: tuple[str, ...]) -> tuple[MethodSpec, ...]:
        for number, name in enumerate(names):
            recipe = next((one for one in self.recipes if one.name == name), None)
            if name in self.objectives:
                raise MethodError(f"`{name}` is an objective, and a method has one; `{objective.name}` is another")
            if name not in self.modifiers and recipe is not None:
                raise MethodError(_no_modifier(recipe, objective))
            if name not in self.modifiers:
                hint = did_you_mean(name, self.modifiers)
                raise MethodError(f"there is no modifier {name!r}{hint}; there are {one_of(list(self.modifiers))}")
            if name in names[:number]:
                raise MethodError(f"the modifier `{name}` is given twice")
            if objective.name in self.modifiers[name].refuses:
                reason = self.modifiers[name].refuses[objective.name]
                raise MethodError(f"`{objective.name}+{name}` means nothing: {reason}")
        return tuple(one for name, one in self.modifiers.items() if name in names)

    def extended(self, methods: tuple[MethodSpec, ...], recipes: tuple[Recipe, ...]) -> "WorldSpec":
        """The same world with the methods of others."""
        ordered = sorted((*self.methods, *methods), key=lambda one: one.kind != "objective")
        return replace(self, methods=tuple(ordered), recipes=(*self.recipes, *recipes))
