"""The budget of a life, as a curriculum states it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Unit = Literal["token", "sequence"]
Prompts = Literal["seen", "task", "generic"]
Enforcement = Literal["observe", "stop", "rollback"]


class Frozen(BaseModel):
    """Base of every section of a curriculum: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def broken_rule(message: str, *place: str | int) -> PydanticCustomError:
    """The error of a rule across fields, with the place of its fault below the section that raises it."""
    return PydanticCustomError("rule", "{message}", {"message": message, "at": place})


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
        str | None, Field(description="a JSON-lines file with a `prompt` a line, for `prompts: generic`")
    ] = None
    enforce: Annotated[
        Enforcement,
        Field(description="`observe` only reads, `stop` ends the stage at the cap, `rollback` returns below it"),
    ] = "rollback"
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
