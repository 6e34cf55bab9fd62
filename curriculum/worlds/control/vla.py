"""Policies that are vision-language-action models: their next tokens are an action."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from perdure.budget.bounds import Seconds, TokenId
from perdure.budget.config import Frozen, broken_rule
from perdure.curriculum.worlds.lora import LoraConfig

PROMPT = "In: What action should the robot take to {instruction}?\nOut:"
"""OpenVLA's (https://github.com/openvla/openvla)."""


class TokenPolicy(Frozen):
    """A model whose next tokens are an action, one a dimension."""

    model_name_or_path: Annotated[
        str, Field(min_length=1, description="a hub id or a local folder; an adapter is merged into its base")
    ]
    revision: Annotated[str | None, Field(description="branch, tag or commit on the hub")] = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Field(
            description="of the weights. `auto`: float32; with `lora` bfloat16 on a GPU that has it, and in a worker"
        ),
    ] = "auto"
    lora: Annotated[LoraConfig | None, Field(description="train an adapter instead of the weights")] = None
    freeze_vision: Annotated[
        bool, Field(description="leave the vision tower as it is: no adapter on it, no update of it")
    ] = True
    prompt: Annotated[
        str, Field(pattern=r"\{instruction\}", description="the text before the action; `{instruction}` is replaced")
    ] = PROMPT
    action_tokens: Annotated[
        list[Annotated[int, Field(ge=0)]] | None,
        Field(
            min_length=2,
            description="the ids of the action tokens, that of the lowest value first; default, as OpenVLA has it: "
            "the last `bins` ids of the vocabulary, the last one for the lowest value",
        ),
    ] = None
    unnorm_key: Annotated[
        str | None,
        Field(
            description="whose statistics of actions (`norm_stats` in config.json, or dataset_statistics.json) an "
            "action is scaled by; must be given if the checkpoint has several. Without statistics the bins cover the "
            "environment's bounds"
        ),
    ] = None

    @field_validator("lora")
    @classmethod
    def _has_no_dropout(cls, value: LoraConfig | None) -> LoraConfig | None:
        if value is not None and value.lora_dropout:
            raise ValueError("the control world trains without dropout, whose loss is not exact; set lora_dropout to 0")
        return value

    @property
    def title(self) -> str:
        """`openvla/openvla-7b`."""
        return self.model_name_or_path + (f" at revision {self.revision}" if self.revision else "")


class Vla(TokenPolicy):
    """An image-text-to-text model of transformers."""

    type: Annotated[Literal["vla"], Field(description="an image-text-to-text model of transformers")]


class Worker(TokenPolicy):
    """A VLA in a process of its own, whose libraries are not those of this one, such as OpenVLA's; with an adapter."""

    type: Annotated[Literal["worker"], Field(description="a VLA in a process with an environment of its own")]
    command: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(
            min_length=1,
            description="the Python of that environment, for example [~/openvla/bin/python]; docs/openvla.md says how "
            "to make it",
        ),
    ]
    trust_remote_code: Annotated[
        bool, Field(description="run the Python code that comes with the model, in the worker; OpenVLA needs it")
    ] = False
    append_token: Annotated[
        TokenId | None,
        Field(ge=0, description="a token that ends each prompt unless it does so already; OpenVLA's is 29871"),
    ] = None
    seconds: Annotated[Seconds, Field(gt=0, description="time limit of one answer of the worker")] = 600.0

    @model_validator(mode="after")
    def _trains_an_adapter(self) -> "Worker":
        if self.lora is None:
            raise broken_rule("a worker trains an adapter, whose base is the model without it; give `lora`", "lora")
        return self
