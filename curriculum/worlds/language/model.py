"""The base model of the language world."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from perdure.budget.config import broken_rule
from perdure.curriculum.worlds.contract import CpuThreads, Device, ModelSection
from perdure.curriculum.worlds.lora import LoraConfig, refuse_second_adapter
from perdure.curriculum.worlds.methods import Method


class CausalModel(ModelSection):
    """A causal language model: the language world. The default `type`."""

    WORLD: ClassVar[str] = "language"
    AUTO_IS_GPU: ClassVar[bool] = True

    type: Annotated[Literal["causal_lm"], Field(description="a causal language model; the default")] = "causal_lm"
    model_name_or_path: Annotated[
        str,
        Field(
            description="a hub id, a local folder, or `builtin:tiny`; an adapter is merged into its base", min_length=1
        ),
    ]
    revision: Annotated[str | None, Field(description="branch, tag or commit on the hub")] = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Field(
            description="of the weights. `auto`: float32; with `lora` of the frozen ones, bfloat16 on a GPU that has it"
        ),
    ] = "auto"
    autocast: Annotated[
        Literal["auto", "bfloat16", "float16", "none"],
        Field(
            description="computes in that format over the weights as they are, in training, readings and scores alike. "
            "`auto`: bfloat16 on a GPU that has it, where `dtype` is `auto` or bfloat16; else none"
        ),
    ] = "auto"
    device: Annotated[
        Device, Field(description="`auto` (CUDA if there is one, else CPU), `cpu`, `cuda`, `cuda:1`, …")
    ] = "auto"
    threads: Annotated[
        CpuThreads | Literal["auto"], Field(description="CPU threads; `auto`: one for models below 20 M parameters")
    ] = "auto"
    trust_remote_code: Annotated[bool, Field(description="run Python code that comes with the model")] = False
    quantization: Annotated[
        Literal["4bit", "8bit"] | None,
        Field(
            description="keeps the frozen weights under `lora` in 4 bits (NF4) or 8 (LLM.int8), by bitsandbytes; the "
            "base of every KL is then the quantized model"
        ),
    ] = None
    attn_implementation: Annotated[
        Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None,
        Field(description="attention as transformers names it; default: its own choice"),
    ] = None
    device_map: Annotated[
        Literal["auto"] | None,
        Field(description="`auto` spreads the layers of a model that is too large for one GPU over all of them"),
    ] = None
    prefix_caching: Annotated[
        bool,
        Field(
            description="compute a prompt once for all of its answers, and a benchmark's context once for its choices; "
            "not for updates with activation checkpointing, which is on by default on a GPU, or dropout"
        ),
    ] = True
    lora: Annotated[LoraConfig | None, Field(description="train an adapter instead of the weights")] = None

    @model_validator(mode="after")
    def _can_be_trained(self) -> "CausalModel":
        if self.quantization is not None and self.lora is None:
            raise broken_rule(
                "quantized weights cannot be trained: train an adapter over them with `lora: {}`, or leave "
                "`quantization` out",
                "quantization",
            )
        if self.device_map is not None and self.device != "auto":
            raise broken_rule("`device_map: auto` chooses the devices; leave `device` out", "device")
        return self

    @property
    def title(self) -> str:
        """`builtin:tiny`, `org/name at revision v1`."""
        return self.model_name_or_path + (f" at revision {self.revision}" if self.revision else "")

    def drawn_from(self, seed: int) -> int | None:
        """A fresh adapter is drawn at the seed."""
        return None if self.lora is None else seed

    def refusal(self, method: Method) -> str | None:
        """An adapter is not put on an adapter."""
        return refuse_second_adapter(method, self.lora, "model.lora")
