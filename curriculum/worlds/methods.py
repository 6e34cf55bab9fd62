"""Methods: an objective and modifiers, each one row (`MethodSpec`) of a world, and recipes, which name combinations.

A row names its code and imports neither it nor torch.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from perdure.budget.config import Frozen

Need = Literal["demonstrations", "reward", "base_texts", "single_answers"]
"""Requirements of a method. `base_texts` are sampled from the base before the first stage; `single_answers` are those
of a task whose prompts are answered by one text, and not by turns in an environment.
"""

DEMONSTRATIONS: frozenset[Need] = frozenset({"demonstrations"})
REWARD: frozenset[Need] = frozenset({"reward"})
BASE_TEXTS: frozenset[Need] = frozenset({"base_texts"})
SINGLE: frozenset[Need] = frozenset({"single_answers"})


@dataclass(frozen=True)
class Sizes:
    """The sizes of a policy, in bytes.

    Attributes:
        weights: all weights.
        trained: the weights that are trained.
        matrices: the weight matrices whose update may have a low rank.
        per_rank: the float32 factors of such an update, a unit of rank.
        element: one weight.
        held: a copy of the weights that every method has: of the base, or what autocast casts.
        has_base: no method needs another copy of the base: one is held, or the adapter can be turned off.
        exact_moments: the trained weights whose moments an 8-bit optimiser keeps in float32.
    """

    weights: int
    trained: int
    matrices: int
    per_rank: int
    element: int
    held: int
    has_base: bool
    exact_moments: int = 0

    @property
    def trained_float32(self) -> int:
        """The trained weights as float32."""
        return self.trained // self.element * 4


def no_bytes(settings: Any, sizes: Sizes) -> int:
    """Zero, for a method that keeps nothing of this kind."""
    return 0


def two_moments(settings: Any, sizes: Sizes) -> int:
    """AdamW's, in the type of the weights."""
    return 2 * sizes.trained


@dataclass(frozen=True)
class MethodSpec:
    """One objective or modifier of one world.

    Attributes:
        settings: its section under `train`.
        code: the module that carries it out.
        needs: its requirements.
        defaults: values of settings that a file leaves out.
        parent: an objective whose sections it reads before its own.
        unshared: settings that it reads from its own section only, since those of `train` mean another thing.
        refuses: for a modifier, the objectives with which it means nothing, and why.
        copies: bytes that it keeps beside the weights, by its settings and the policy's sizes.
        factors: bytes that the optimiser trains in place of the weights; 0 if it trains the weights.
        moments: for an objective, bytes that the optimiser of the weights keeps.
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
    moments: Callable[[Any, Sizes], int] = two_moments


@dataclass(frozen=True)
class Recipe:
    """A name for one combination with its settings.

    Attributes:
        summary: one sentence.
        settings: values that make it another method than the combination; only its own section overrides them.
        defaults: values of settings that a file leaves out.
        nonzero: settings that are never 0: a 0 in another section is meant for other methods.
        shared: settings of `train` itself that its modifiers read, too.
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
        """The objective and the modifiers, such as `sft+replay`."""
        return "+".join((self.objective, *self.modifiers))

    @property
    def meaning(self) -> str:
        """The combination and its settings: "`sft`, `token_weight: entropy`"."""
        settings = {**self.settings, **self.defaults}
        return ", ".join((f"`{self.combination}`", *(f"`{name}: {value}`" for name, value in settings.items())))

    @property
    def is_abbreviation(self) -> bool:
        """True if the bare combination is the same method."""
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
        """The requirements of all its parts."""
        return self.objective.needs.union(*(one.needs for one in self.modifiers))

    def has(self, modifier: str) -> bool:
        """True if a modifier of this name is part of it."""
        return any(one.name == modifier for one in self.modifiers)


class MethodError(ValueError):
    """No method has this name; the message says what would be right."""


NO_CRITIC = "there is no critic here: answers to one prompt are compared with each other"
NO_PAIRS = "tasks have no pairs of a preferred and a rejected answer: a reward scores the policy's own answers"
NEAREST: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(("ppo", "rloo", "a2c", "reinforce++", "gspo", "dapo"), (NO_CRITIC, ("rl",))),
    **dict.fromkeys(("dpo", "ipo", "kto", "orpo", "cpo"), (NO_PAIRS, ("rl",))),
    **dict.fromkeys(("rlhf", "rlvr", "rft"), ("the reward is the task's", ("rl",))),
    **dict.fromkeys(("full", "finetune", "supervised", "bc"), ("it imitates demonstrations", ("sft",))),
    **dict.fromkeys(("gkd", "distill", "distillation"), ("it distils from the policy's own answers", ("sdft",))),
    **dict.fromkeys(("raft", "rejection_sampling"), ("it fits the policy's own right answers", ("tilt",))),
    **dict.fromkeys(("qlora", "peft", "adapter"), ("an adapter is a setting, `model.lora: {r: 16}`", ("sft",))),
    "experience_replay": ("it mixes in items of earlier stages", ("replay",)),
}
"""Methods as others call them: what to know, and perdure's nearest ones, best first."""


def nearest(word: object, names: Iterable[str]) -> str:
    """`; the nearest is `rl`: there is no critic here …`, for a method of other trainers; else nothing."""
    about, near = NEAREST.get(word.casefold(), ("", ())) if isinstance(word, str) else ("", ())
    found = next((name for name in near if name in names), None)
    return "" if found is None else f"; the nearest is `{found}`: {about}"


def offer(names: Iterable[str], modifiers: Iterable[str]) -> str:
    """A sentence that lists the methods to choose from."""
    return (
        f"choose one of {', '.join(map(repr, names))}, and add modifiers: {', '.join(f'+{one}' for one in modifiers)}"
    )


def no_modifier(recipe: Recipe, objective: MethodSpec) -> str:
    """The message about a recipe that stands behind an objective, as a modifier would."""
    if not recipe.modifiers:
        return f"`{recipe.name}` is `{recipe.objective}` with other settings, and stands in front of modifiers"
    meant = "+".join((objective.name, *recipe.modifiers))
    return f"`{recipe.name}` is short for `{recipe.combination}`; write `{meant}`"
