"""The settings of the language world's objectives: TRL's own, and those that perdure carries out itself."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from perdure.budget.bounds import Batch, Temperature, Tokens
from perdure.curriculum.settings import (
    Checkpointed,
    Common,
    Exploring,
    Gated,
    Imitation,
    Kl,
    Mixture,
    Sampling,
    TextSettings,
    Tilting,
)


class TrlCommon(Common, Checkpointed):
    """Settings of all of TRL's trainers."""

    gradient_accumulation_steps: Annotated[Batch | None, Field(ge=1, description="batches a step")] = None
    trl: Annotated[dict[str, Any], Field(description="any other field of TRL's config, by its own name")] = {}


class Generation(Sampling):
    """Settings of the objectives that sample completions."""

    max_completion_length: Annotated[Tokens | None, Field(ge=1, description="tokens a completion")] = None
    temperature: Annotated[Temperature | None, Field(gt=0, description="sampling temperature")] = None


class LanguageKl(Kl, TextSettings):
    """Exact forward KL to the base in the loss. Its weight is constant, and the base the original one."""


class LanguageSft(TrlCommon, Imitation):
    """Supervised fine-tuning. In the language world it is TRL's SFTTrainer."""

    max_length: Annotated[Tokens | None, Field(ge=2, description="tokens of prompt and answer together")] = None
    top_k: Annotated[
        Batch, Field(ge=2, description="likeliest tokens that count in the entropy of `token_weight: entropy`")
    ] = 20


class LanguageRl(TrlCommon, Generation, Exploring):
    """Reinforcement learning by GRPO. In the language world it is TRL's GRPOTrainer."""

    loss_type: Annotated[str | None, Field(description="TRL's loss")] = None
    scale_rewards: Annotated[
        str | bool | None,
        Field(
            description="TRL's advantage scaling; default `none`; in the vision and control worlds `none` or `group`"
        ),
    ] = None


class LanguageChord(LanguageRl, Mixture):
    """SFT and RL terms in one loss. It is CHORD (arXiv 2508.11408)."""

    sft_batch_size: Annotated[Batch, Field(ge=1, description="demonstrations in the SFT term of a step")] = 8


class LanguageGate(LanguageRl, Gated):
    """SFT where no sample succeeds, RL elsewhere. It goes prompt by prompt: the gate of HPT (arXiv 2509.04419)."""


class LanguageTilt(TrlCommon, Tilting):
    """Fits q* ∝ π0·R, the KL-minimal right policy. It uses fresh samples that the reward verifies."""

    max_completion_length: Annotated[Tokens | None, Field(ge=1, description="tokens a completion")] = None


class Sdft(TrlCommon):
    """Self-distillation from demonstrations: SDFT. The policy that is shown one teaches itself on its own samples.

    SDFT is arXiv 2601.19897 (language world).
    """

    max_completion_length: Annotated[Tokens | None, Field(ge=1, description="tokens a completion")] = None
    temperature: Annotated[Temperature | None, Field(gt=0, description="sampling temperature")] = None
    teacher_decay: Annotated[
        float, Field(ge=0, le=1, description="the teacher's weights are a moving average with this decay; 1: fixed")
    ] = 0.99
    teacher_template: Annotated[
        str, Field(description="prompt of the teacher; `{prompt}` and `{demonstration}` stand for the item's")
    ] = "{prompt}\nOne good answer is: {demonstration}\nNow answer in your own words."

    @field_validator("teacher_template")
    @classmethod
    def _shows_both(cls, template: str) -> str:
        if not all(part in template for part in ("{prompt}", "{demonstration}")):
            raise ValueError("`teacher_template` needs `{prompt}` and `{demonstration}`")
        return template


PERDURE_FIELDS = frozenset({"trl", "save_steps", *Imitation.model_fields, "top_k"}).union(
    *(set(cls.model_fields) - set(LanguageRl.model_fields) for cls in (LanguageChord, LanguageGate, LanguageTilt, Sdft))
)
"""Settings that TRL does not have, or that perdure carries out itself."""
