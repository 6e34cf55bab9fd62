"""The budget of a life, as a curriculum states it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Unit = Literal["token", "sequence"]
Prompts = Literal["seen", "task", "generic"]
Enforcement = Literal["observe", "stop", "rollback", "penalty", "project", "recover"]
Allocation = Literal["greedy", "even", "remaining", "floor"]

ALONE: tuple[Enforcement, ...] = ("observe", "stop", "rollback", "project")
"""What becomes of a stage that ends above its cap: one of these at most. `penalty` and `recover` go beside them."""


class Frozen(BaseModel):
    """Base of every section of a curriculum: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def broken_rule(message: str, *place: str | int) -> PydanticCustomError:
    """The error of a rule across fields, with the place of its fault below the section that raises it."""
    return PydanticCustomError("rule", "{message}", {"message": message, "at": place})


class PenaltyConfig(Frozen):
    """The KL term that `enforce: penalty` adds to the loss of every method, and how its weight is steered."""

    controller: Annotated[
        Literal["dual_ascent", "proportional"],
        Field(
            description="`dual_ascent` on the constraint that the KL stays at its target, or the `proportional` "
            "controller of Ziegler et al. (arXiv 1909.08593)"
        ),
    ] = "dual_ascent"
    target: Annotated[float, Field(gt=0, le=1, description="the KL to steer to, as a share of the stage's cap")] = 0.8
    weight: Annotated[float, Field(gt=0, description="the weight of the term at the first step of a life")] = 0.1
    rate: Annotated[
        float, Field(gt=0, description="dual ascent: rise of the weight a step, at a KL of twice the target")
    ] = 0.05
    horizon: Annotated[
        float, Field(gt=0, description="proportional: steps over which the weight follows the error")
    ] = 10
    num_prompts: Annotated[int, Field(ge=1, description="texts of the base in the term of a step")] = 8


class RecoverConfig(Frozen):
    """The distillation from the original base that `enforce: recover` does where a stage ends above its cap."""

    max_steps: Annotated[int, Field(ge=1, description="optimiser steps at most")] = 50
    learning_rate: Annotated[float | None, Field(gt=0, description="AdamW's; left out: that of the stage")] = None
    num_prompts: Annotated[int, Field(ge=1, description="texts of the base a step")] = 16
    every: Annotated[int, Field(ge=1, description="steps between two readings")] = 5


class BudgetConfig(Frozen):
    """How far the policy may move from the base, in forward KL, over the whole life of the agent."""

    kl: Annotated[float, Field(gt=0, description="the cap on the forward KL from base to policy, in nats per `unit`")]
    unit: Annotated[Unit, Field(description="what the cap counts: nats a `token` or nats a `sequence`")] = "token"
    prompts: Annotated[
        Prompts,
        Field(
            description="whose prompts: every task `seen` so far in equal parts, the stage's own `task`, or `generic`"
        ),
    ] = "seen"
    generic: Annotated[
        str | None,
        Field(
            description="for `prompts: generic` and `enforce: recover`: a JSON-lines file with a `prompt` a line, or "
            "`builtin:skills`, prompts of what builtin:tiny can do"
        ),
    ] = None
    enforce: Annotated[
        Enforcement | list[Enforcement],
        Field(
            description="one or a list. `observe` only reads, `stop` ends the stage at the cap, `rollback` returns to "
            "the last reading below it, `project` to the last point below it on the way to where the update ended; "
            "beside them `penalty` adds a KL term to every method's loss, and `recover` distils from the base"
        ),
    ] = "rollback"
    confidence: Annotated[
        float | None,
        Field(
            gt=0.5,
            lt=1,
            description="hold the cap by the upper end of the KL's interval, one-sided at this level; left out: by the "
            "estimate itself",
        ),
    ] = None
    allocation: Annotated[
        Allocation,
        Field(
            description="how much of what is left a stage may take: `greedy` all of it, `even` its part among the "
            "stages to come, `remaining` a `fraction` of it, `floor` in proportion to each stage's KL floor"
        ),
    ] = "greedy"
    fraction: Annotated[float, Field(gt=0, le=1, description="for `allocation: remaining`")] = 0.5
    target_accuracy: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="the accuracy whose KL floor is told for every stage that names none; none: no floor",
        ),
    ] = None
    penalty: Annotated[PenaltyConfig, Field(description="of `enforce: penalty`")] = PenaltyConfig()
    recover: Annotated[RecoverConfig, Field(description="of `enforce: recover`")] = RecoverConfig()
    every: Annotated[int, Field(ge=1, description="optimiser steps between two readings")] = 20
    num_prompts: Annotated[int, Field(ge=2, description="prompts a task, each with one text sampled from the base")] = (
        32
    )
    max_completion_length: Annotated[
        int, Field(ge=1, description="tokens of each text sampled from the base; language world")
    ] = 32
    law: Annotated[
        str | None,
        Field(
            min_length=1,
            description="a law saved by `perdure law --save`, or `builtin:NAME`; its prediction of forgetting stands "
            "beside every reading",
        ),
    ] = None

    @property
    def enforced(self) -> tuple[Enforcement, ...]:
        """`enforce` as a list, whatever it was written as."""
        return (self.enforce,) if isinstance(self.enforce, str) else tuple(self.enforce)

    def enforces(self, name: Enforcement) -> bool:
        """Whether this is among what is enforced."""
        return name in self.enforced

    @property
    def ends_update(self) -> bool:
        """Whether an update ends at its first reading above the cap: nothing beside it brings the KL down again."""
        held = self.enforces("penalty") or self.enforces("recover")
        return self.enforces("stop") or (self.enforces("rollback") and not held)

    @model_validator(mode="after")
    def _enforcement_is_of_one_mind(self) -> "BudgetConfig":
        names = self.enforced
        if not names or len(set(names)) < len(names):
            raise broken_rule("must name one way to enforce at least, and none twice", "enforce")
        ends = [name for name in names if name in ALONE]
        if len(ends) > 1:
            raise broken_rule(f"`{ends[0]}` and `{ends[1]}` end a stage in two ways; keep one of them", "enforce")
        if "observe" in names and len(names) > 1:
            raise broken_rule("`observe` only reads, so nothing can stand beside it", "enforce")
        return self
