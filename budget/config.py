"""The `budget` section of a curriculum."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from perdure.budget.bounds import Items, Nats, Rate, Steps, Tokens, Weight

Unit = Literal["token", "sequence"]
Prompts = Literal["seen", "task", "generic", "both"]
Enforcement = Literal["observe", "stop", "rollback", "penalty", "project", "recover"]
Allocation = Literal["greedy", "even", "remaining", "floor"]

EXCLUSIVE_ENFORCEMENTS: tuple[Enforcement, ...] = ("observe", "stop", "rollback", "project")
"""Ways to treat a stage that ends above its cap: at most one of them. `penalty` and `recover` combine with each."""


class Frozen(BaseModel):
    """Base of every section of a curriculum: frozen; unknown keys, infinity and NaN are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False, defer_build=True
    )


def broken_rule(message: str, *place: str | int) -> PydanticCustomError:
    """The error of a rule across fields, with the path of the faulty field below the section that raises it."""
    return PydanticCustomError("rule", "{message}", {"message": message, "at": place})


class PenaltyConfig(Frozen):
    """The KL term that `enforce: penalty` adds to every method's loss, and the controller of its weight."""

    controller: Annotated[
        Literal["dual_ascent", "proportional"],
        Field(
            description="`dual_ascent` on the constraint that the KL stays at its target, or the `proportional` "
            "controller of Ziegler et al. (arXiv 1909.08593)"
        ),
    ] = "dual_ascent"
    target: Annotated[float, Field(gt=0, le=1, description="the KL to steer to, as a share of the stage's cap")] = 0.8
    weight: Annotated[Weight, Field(gt=0, description="the weight of the term at the first step of a run")] = 0.1
    rate: Annotated[
        Weight, Field(gt=0, description="dual ascent: increase of the weight per step at a KL of twice the target")
    ] = 0.05
    horizon: Annotated[
        Weight, Field(gt=0, description="proportional: steps over which the weight follows the error")
    ] = 10
    num_prompts: Annotated[Items, Field(ge=1, description="texts of the base per step")] = 8


class RecoverConfig(Frozen):
    """The distillation from the original base by `enforce: recover`, after a stage that ends above its cap."""

    max_steps: Annotated[Steps, Field(ge=1, description="optimiser steps at most")] = 50
    learning_rate: Annotated[
        Rate | None, Field(gt=0, description="AdamW's; default: that which the stage names, else 1e-4")
    ] = None
    num_prompts: Annotated[Items, Field(ge=1, description="texts of the base per step")] = 16
    every: Annotated[Steps, Field(ge=1, description="steps between two readings")] = 5


class BudgetConfig(Frozen):
    """The forward KL from the base that the policy may reach over the whole run."""

    kl: Annotated[Nats, Field(gt=0, description="the cap on the forward KL from base to policy, in nats per `unit`")]
    unit: Annotated[Unit, Field(description="what the cap counts: nats a `token` or nats a `sequence`")] = "token"
    prompts: Annotated[
        Prompts,
        Field(
            description="whose prompts: every task `seen` so far in equal parts, the stage's own `task`, the `generic` "
            "probe, or `both`: the larger of the KL on those `seen` and on the probe"
        ),
    ] = "seen"
    probe: Annotated[
        bool,
        Field(
            description="read the KL on the generic probe beside the budget's own: on texts that the base itself "
            "writes from neutral openings, on noise images, or on episodes that it plays by itself"
        ),
    ] = True
    generic: Annotated[
        str | None,
        Field(
            description="replaces the openings of the generic probe and of `enforce: recover`: a JSON-lines file with "
            "a `prompt` a line, or `builtin:skills`, prompts of what builtin:tiny can do; language world"
        ),
    ] = None
    enforce: Annotated[
        Enforcement | list[Enforcement],
        Field(
            description="one or a list. `observe` only measures, `stop` ends the stage at the cap, `rollback` returns "
            "to the last reading below it, `project` to the last point below it on the line to the updated policy; "
            "combined with them, `penalty` adds a KL term to every method's loss, and `recover` distils from the base"
        ),
    ] = "rollback"
    confidence: Annotated[
        float | None,
        Field(
            gt=0.5,
            lt=1,
            description="compare with the cap the one-sided upper confidence bound of the KL at this level; default: "
            "the estimate itself",
        ),
    ] = None
    allocation: Annotated[
        Allocation,
        Field(
            description="the share of the remaining budget that a stage may use: `greedy` all of it, `even` an equal "
            "share for each stage to come, `remaining` a `fraction` of it, `floor` in proportion to each stage's KL "
            "floor"
        ),
    ] = "greedy"
    fraction: Annotated[float, Field(gt=0, le=1, description="for `allocation: remaining`")] = 0.5
    target_accuracy: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="the accuracy whose KL floor is reported for every stage that names none; default: no floor",
        ),
    ] = None
    penalty: Annotated[PenaltyConfig, Field(description="settings of `enforce: penalty`")] = PenaltyConfig()
    recover: Annotated[RecoverConfig, Field(description="settings of `enforce: recover`")] = RecoverConfig()
    every: Annotated[Steps, Field(ge=1, description="optimiser steps between two readings")] = 20
    num_prompts: Annotated[
        Items, Field(ge=2, description="prompts per task, each with one text sampled from the base")
    ] = 32
    max_completion_length: Annotated[
        Tokens, Field(ge=1, description="tokens of each text sampled from the base; language world")
    ] = 32
    law: Annotated[
        str | None,
        Field(
            min_length=1,
            description="a law saved by `perdure law --save`, or `builtin:NAME`; every reading then shows its "
            "prediction of forgetting",
        ),
    ] = None

    @property
    def enforced(self) -> tuple[Enforcement, ...]:
        """`enforce` as a tuple."""
        return (self.enforce,) if isinstance(self.enforce, str) else tuple(self.enforce)

    @property
    def counts_generic(self) -> bool:
        """True if the cap counts the KL on the generic probe."""
        return self.prompts in ("generic", "both")

    def enforces(self, name: Enforcement) -> bool:
        """True if `name` is enforced."""
        return name in self.enforced

    @property
    def ends_update(self) -> bool:
        """True if an update ends at its first reading above the cap, as nothing else would lower its KL again."""
        lowers_kl = self.enforces("penalty") or self.enforces("recover")
        return self.enforces("stop") or (self.enforces("rollback") and not lowers_kl)

    @model_validator(mode="after")
    def _enforcements_agree(self) -> "BudgetConfig":
        names = self.enforced
        if not names or len(set(names)) < len(names):
            raise broken_rule("must name at least one way to enforce, and none twice", "enforce")
        ends = [name for name in names if name in EXCLUSIVE_ENFORCEMENTS]
        if len(ends) > 1:
            raise broken_rule(
                f"`{ends[0]}` and `{ends[1]}` treat the end of a stage in two ways; keep one of them", "enforce"
            )
        if "observe" in names and len(names) > 1:
            raise broken_rule("`observe` only measures and cannot be combined", "enforce")
        return self

    @model_validator(mode="after")
    def _counted_probe_is_read(self) -> "BudgetConfig":
        if self.counts_generic and not self.probe:
            message = f"`prompts: {self.prompts}` counts the generic probe, and `probe: false` leaves it out; keep one"
            raise broken_rule(message, "probe")
        return self
