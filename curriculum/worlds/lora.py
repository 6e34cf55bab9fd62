"""A LoRA adapter, as the worlds of large models have it."""

from typing import Annotated

from pydantic import Field

from perdure.budget.bounds import Rank, Weight
from perdure.budget.config import Frozen
from perdure.curriculum.worlds.methods import Method


class LoraConfig(Frozen):
    """One low-rank adapter over an untouched base, through peft; field names are peft's."""

    r: Annotated[Rank, Field(ge=1, description="rank")] = 16
    lora_alpha: Annotated[Weight, Field(gt=0, description="scale; the update is multiplied by lora_alpha / r")] = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on the adapter's input")] = 0.0
    target_modules: Annotated[str | list[str], Field(description="which layers, as peft takes them")] = "all-linear"


def refuse_second_adapter(method: Method, lora: LoraConfig | None, place: str) -> str | None:
    """The reason why a method cannot train this adapter: it would put one on it. `None` if it can."""
    if lora is None or not method.has("low_rank"):
        return None
    rest = (one.name for one in method.modifiers if one.name != "low_rank")
    return f"with `{place}` the policy is a LoRA adapter already; use {'+'.join((method.objective.name, *rest))!r}"
