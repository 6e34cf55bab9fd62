"""The contract of a world in a curriculum: sections for its model and its tasks, and one `WorldSpec`.

A `WorldSpec` names code by its path; it imports neither that code nor torch.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from perdure.budget.bounds import Threads
from perdure.budget.config import Frozen
from perdure.curriculum.messages import Path, did_you_mean, one_of
from perdure.curriculum.worlds.methods import Method, MethodError, MethodSpec, Recipe, nearest, no_modifier, offer
from perdure.curriculum.worlds.nouns import Nouns
from perdure.curriculum.worlds.reward_kinds import RewardKind

Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|xpu|cuda(:\d{1,2})?)$")]
CpuThreads = Annotated[Threads, Field(ge=1)]


@dataclass(frozen=True)
class LookUpFault:
    """A fault that a look-up finds: its path below the section, and what is wrong.

    `package`: this machine lacks a package, which another may have.
    """

    path: Path
    message: str
    package: bool = False


@dataclass(frozen=True)
class LookedUp:
    """The result of a look-up: the faults, and what could not be looked into, in words."""

    faults: tuple[LookUpFault, ...] = ()
    unseen: tuple[str, ...] = ()


class ModelSection(Frozen):
    """The section of a base model; the class of a world adds `type`, fields of its own and `title`."""

    WORLD: ClassVar[str]
    AUTO_IS_GPU: ClassVar[bool] = False
    """True if `device: auto` means a GPU where there is one."""
    IS_SMALL: ClassVar[bool] = False
    """True if a whole run folder fits in memory."""

    device: Annotated[Device, Field(description="`auto`, `cpu`, `cuda`, `cuda:1`, …")] = "auto"
    threads: Annotated[CpuThreads | Literal["auto"], Field(description="CPU threads; `auto`: one")] = "auto"

    @property
    def world(self) -> str:
        """The name of the model's world."""
        return self.WORLD

    @property
    @abstractmethod
    def title(self) -> str:
        """The model in a few words."""

    def drawn_from(self, seed: int) -> int | None:
        """The seed of the base in a run of this seed; `None`: every run has the same base."""
        return None

    def kl_settings(self, task: "Source") -> str:
        """The settings on which the size of a KL depends, in words; figures at other ones are not compared."""
        return ""

    @property
    def sources(self) -> "tuple[tuple[Path, Source], ...]":
        """The tasks that the base is made with, and their paths below the section."""
        return ()

    def refusal(self, method: Method) -> str | None:
        """Why this model cannot be trained by a method that its world has; `None` if it can."""
        return None


class Source(Frozen):
    """The section of a task; the class of a world adds `type` and fields of its own."""

    NEEDS: ClassVar[str] = ""
    """What such a task needs beside its required keys, for `perdure list tasks`."""

    @property
    def may_demonstrate(self) -> bool | None:
        """True if items can be imitated; `None` if only the data shows it."""
        return None

    @property
    def may_reward(self) -> bool | None:
        """True if answers can be rewarded; `None` if only the data shows it."""
        return True

    @property
    def single_answers(self) -> bool:
        """False if a prompt is answered by turns in an environment."""
        return True

    @property
    def asked(self) -> int | None:
        """Training items that the file asks for; `None`: as many as there are."""
        found: int | None = getattr(self, "train", None)
        return found

    @property
    def needs_examined(self) -> bool:
        """True if items must be made anew once all that is examined is known, whatever their keys are."""
        return False

    @property
    def pool(self) -> str | None:
        """The settings that decide which items there are: stages that agree in them have one cut, by one seed.

        `None`: which items are held out does not depend on a seed.
        """
        return None

    @property
    def facts(self) -> "Facts":
        """The facts that the file alone gives."""
        return Facts(self.may_demonstrate, self.may_reward, self.single_answers)


@dataclass(frozen=True)
class Facts:
    """The parts of a task that methods learn from; `None`: not known yet.

    `undemonstrated`: the training items without a demonstration, where others have one.
    """

    demonstrations: bool | None
    reward: bool | None
    single_answers: bool = True
    undemonstrated: int = 0


@dataclass(frozen=True)
class WorldSpec:
    """One world, as a curriculum can describe it.

    Attributes:
        name: also that of its folders, `curriculum/worlds/NAME` and `agent/worlds/NAME`.
        model, tasks: the sections of its model and of its tasks.
        settings: the train settings that its methods share.
        methods, recipes: its methods; the objectives first.
        build: `module:function` that makes a task (see `curriculum/worlds/build.py`).
        plugin: its `perdure.agent.worlds.contract.WorldPlugin`; `agent/worlds/registry.py` names those of perdure.
        paths: `module:function` that finds local paths in a file (see `curriculum/file/local_paths.py`).
        look_up: `module:function` that looks up what a task's section names, as `LookedUp`; it makes no item and
            executes no code of the user's.
        lacking: `module:function` that finds what a curriculum asks for and this machine, or its model, lacks, as
            `LookUpFault` with whole paths; it imports none of it. `None`: nothing is looked for.
        sample: the module of its sample curricula (see `curriculum/file/sample.py`); `None`: it has none.
        library: the module that knows further settings of a library (see `curriculum/file/library.py`).
        accepts: the kind of task of its model, for a message.
        rewards: the rewards that its tasks can have.
        demonstrations_from, reward_from: how to give a task one, for a message.
        undemonstrated: how to take a task without the items that have no demonstration, for a message.
        generic_prompts: `module:function` that reads the prompts of `budget.generic`; `None`: it reads no text.
        neutral_prompts: its `World` has `neutral_prompts`, so that the generic probe needs no file.
        one_step_answers: a response is one token, so that nats a token and a sequence are the same.
        nouns: its words for a token, a sequence, an answer and a prompt.
        film: `module:function` that makes a clip of an answer (see `agent/film/clip.py`); `None`: it has none.
        export: `module:function` that exports a policy (see `agent/export/contract.py`); `None`: it has none.
        teacher: `module:function` that makes a teacher (see `agent/demonstrate.py`); `None`: it has none.
        candidates: the methods that a strategy chooses among by default, the likeliest to pay first: every further one
            shortens the trials of the others. One at least imitates, and one reinforces.
        several_processes: its updates may be made by several processes together (`budget/ranks.py`).
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
    build: str
    accepts: str
    demonstrations_from: str
    reward_from: str = "give it a `reward`"
    undemonstrated: str = "leave those out"
    rewards: tuple[RewardKind, ...] = ()
    plugin: str | None = None
    paths: str | None = None
    look_up: str | None = None
    lacking: str | None = None
    sample: str | None = None
    library: str | None = None
    generic_prompts: str | None = None
    neutral_prompts: bool = False
    one_step_answers: bool = False
    nouns: Nouns = field(default_factory=Nouns)
    film: str | None = None
    export: str | None = None
    teacher: str | None = None
    default_schedule: str = "constant"
    candidates: tuple[str, ...] = ("sft", "rl_kl", "low_lr_sft", "tilt")
    several_processes: bool = False
    lacks: Mapping[str, str] = field(default_factory=dict)
    ignores: Mapping[Path, str] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def keeps_checkpoints(self) -> bool:
        """True if its updates keep checkpoints inside a stage, so that one which was stopped goes on from there."""
        return any("save_steps" in one.model_fields for one in self.settings)

    @property
    def reads_text(self) -> bool:
        """True if its model can be given lm-eval's benchmarks and generic prompts."""
        return self.generic_prompts is not None

    @property
    def objectives(self) -> dict[str, MethodSpec]:
        """The objectives, by name."""
        return {one.name: one for one in self.methods if one.kind == "objective"}

    @property
    def modifiers(self) -> dict[str, MethodSpec]:
        """The modifiers, by name."""
        return {one.name: one for one in self.methods if one.kind == "modifier"}

    @property
    def names(self) -> tuple[str, ...]:
        """The methods that have a name of their own: objectives and recipes."""
        return (*self.objectives, *(one.name for one in self.recipes))

    @property
    def parts(self) -> tuple[str, ...]:
        """Every name that can stand in a method."""
        return (*self.names, *(name for name in self.modifiers if name not in self.names))

    def method(self, name: str) -> Method:
        """The method of a name: an objective or a recipe, `+` and modifiers in any order.

        Raises:
            MethodError: there is none of that name, or the combination means nothing.
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
            hint = nearest(name, self.names) or did_you_mean(name, self.parts)
            raise MethodError(f"there is no method {name!r}{hint or f'; {offer(self.names, self.modifiers)}'}")
        return self.objectives[name]

    def _modifiers(self, objective: MethodSpec, names: tuple[str, ...]) -> tuple[MethodSpec, ...]:
        for number, name in enumerate(names):
            recipe = next((one for one in self.recipes if one.name == name), None)
            if name in self.objectives:
                raise MethodError(f"`{name}` is an objective, and a method has one; `{objective.name}` is another")
            if name not in self.modifiers and recipe is not None:
                raise MethodError(no_modifier(recipe, objective))
            if name not in self.modifiers:
                hint = did_you_mean(name, self.modifiers) or f"; there are {one_of(list(self.modifiers))}"
                raise MethodError(f"there is no modifier {name!r}{hint}")
            if name in names[:number]:
                raise MethodError(f"the modifier `{name}` is given twice")
            if objective.name in self.modifiers[name].refuses:
                reason = self.modifiers[name].refuses[objective.name]
                raise MethodError(f"`{objective.name}+{name}` means nothing: {reason}")
        return tuple(one for name, one in self.modifiers.items() if name in names)

    def extended(self, methods: tuple[MethodSpec, ...], recipes: tuple[Recipe, ...]) -> "WorldSpec":
        """The same world with the methods of other packages."""
        ordered = sorted((*self.methods, *methods), key=lambda one: one.kind != "objective")
        return replace(self, methods=tuple(ordered), recipes=(*self.recipes, *recipes))
