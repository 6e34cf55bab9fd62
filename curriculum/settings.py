"""The train settings that the worlds share, under TRL's names where TRL has them.

`None` leaves the default of the method (`curriculum/worlds/NAME/spec.py`).
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from perdure.budget.bounds import Batch, Epochs, Items, Rank, Rate, Samples, Steps, Weight
from perdure.budget.config import Frozen, broken_rule


class Common(Frozen):
    """Settings that every objective of every world has."""

    learning_rate: Annotated[Rate | None, Field(gt=0, description="peak learning rate of AdamW")] = None
    max_steps: Annotated[Steps | None, Field(ge=1, description="optimiser steps of the stage")] = None
    num_train_epochs: Annotated[
        Epochs | None, Field(gt=0, description="passes over the data; ignored with `max_steps`")
    ] = None
    per_device_train_batch_size: Annotated[
        Batch | None,
        Field(
            ge=1,
            description="sequences a step and device; in the vision world images a step, in the control world starts",
        ),
    ] = None
    lr_scheduler_type: Annotated[
        str | None,
        Field(
            description="a scheduler of transformers, by name; in the vision world `constant`, `constant_with_warmup`, "
            "`linear` or `cosine`"
        ),
    ] = None
    warmup_steps: Annotated[
        Weight | None,
        Field(ge=0, description="steps of warm-up, of which `constant` has none; below 1 a share of all steps"),
    ] = None
    max_grad_norm: Annotated[Weight | None, Field(ge=0, description="gradient clipping; 0 for none")] = None
    weight_decay: Annotated[Weight | None, Field(ge=0, description="AdamW's weight decay")] = None


class Checkpointed(Frozen):
    """Settings of the objectives that keep checkpoints inside a stage."""

    save_steps: Annotated[
        Steps | None,
        Field(ge=1, description="steps between checkpoints inside a stage; by default 50, in the control world 30"),
    ] = None


class Sampling(Frozen):
    """Settings of the objectives that sample from the policy."""

    num_generations: Annotated[
        Samples | None, Field(ge=2, description="completions a prompt; in the vision world labels an image")
    ] = None
    beta: Annotated[
        Weight | None,
        Field(
            ge=0,
            description="weight of the objective's own KL term; 0 for none. In the language world TRL's, in the others "
            "the exact reverse KL to the original base",
        ),
    ] = None


class Exploring(Frozen):
    """The entropy bonus of reinforcement learning."""

    entropy_coef: Annotated[
        Weight | None,
        Field(
            ge=0,
            description="weight of the entropy bonus, the policy's mean entropy over the tokens (labels, decisions) of "
            "its samples, in nats; 0, the default, for none",
        ),
    ] = None


class Imitation(Frozen):
    """Settings of supervised fine-tuning."""

    token_weight: Annotated[
        Literal["none", "entropy"] | None,
        Field(description="`entropy`: the policy's entropy weighs each token (EAFT, arXiv 2601.02151)"),
    ] = None
    learning_rate_share: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="factor on a `learning_rate` from other sections; one of the same section is used as it is",
        ),
    ] = None

    @model_validator(mode="after")
    def _a_rate_or_a_share(self) -> "Imitation":
        if getattr(self, "learning_rate", None) is not None and self.learning_rate_share is not None:
            message = "`learning_rate` is used as it is, so that the share has no effect; keep one of the two"
            raise broken_rule(message, "learning_rate_share")
        return self


class Mixture(Frozen):
    """Settings of CHORD (arXiv 2508.11408), which has SFT and RL terms in one loss."""

    mu_start: Annotated[float, Field(ge=0, le=1, description="weight of the SFT term at the first step")] = 0.9
    mu_end: Annotated[float, Field(ge=0, le=1, description="weight of the SFT term after `mu_decay_steps`")] = 0.05
    mu_decay_steps: Annotated[
        Steps | None, Field(ge=1, description="steps of the decay; default: all of the stage")
    ] = None
    phi: Annotated[bool, Field(description="weigh each demonstration token by p(1-p)")] = True


class Gated(Frozen):
    """Settings of the gate of HPT (arXiv 2509.04419)."""

    success_reward: Annotated[Weight, Field(description="reward from which a sample counts as a success")] = 0.5
    sft_weight: Annotated[Weight, Field(gt=0, description="weight of the SFT term")] = 1.0


class Tilting(Frozen):
    """Settings of the fit to q* ∝ π0·R, the KL-minimal correct policy, by samples that the reward verifies."""

    samples_from: Annotated[
        Literal["policy", "base"] | None,
        Field(description="which model samples: the `policy`, the default, with weights π0/π; or the `base`"),
    ] = None
    num_generations: Annotated[
        Samples | None, Field(ge=1, description="answers sampled a prompt (or image) and pass; default 8")
    ] = None


class Replay(Frozen):
    """A share of each batch from earlier tasks. They are those of the earlier stages."""

    replay_ratio: Annotated[float, Field(ge=0.01, lt=1, description="the share that comes from earlier stages")] = 0.1


class TextSettings(Frozen):
    """Settings of the modifiers whose term is on texts of the base."""

    prompts: Annotated[
        Literal["budget", "generic"],
        Field(
            description="whose texts: on other prompts of those that the `budget` counts, or of the `generic` probe; "
            "never on those that the monitor reads"
        ),
    ] = "budget"


class SelfReplay(TextSettings):
    """Imitation of the base's own texts. It needs no data of earlier tasks (arXiv 2605.26097)."""

    self_replay_weight: Annotated[
        Weight | None, Field(gt=0, description="weight of their negative log-likelihood, nats a token; default 1")
    ] = None
    num_texts: Annotated[Items, Field(ge=1, description="texts of the base in a step")] = 8


class Kl(Frozen):
    """Exact forward KL to the base in the loss. Its weight is constant, and the base the original one."""

    beta: Annotated[
        Weight | None,
        Field(
            gt=0,
            description="weight of KL(π0 ‖ π) on texts of the base, in the vision and control worlds on the images or "
            "decisions of the step; default 0.1",
        ),
    ] = None

    @field_validator("beta", mode="before")
    @classmethod
    def _has_a_term(cls, beta: Any) -> Any:
        return not_0(beta, "without its term the method is the one without `kl`; leave `kl` out instead")


class Ewc(Frozen):
    """A penalty on moving, by Fisher information. It holds to the stage's first weights (EWC, arXiv 1612.00796)."""

    ewc_lambda: Annotated[Weight | None, Field(gt=0, description="weight of the quadratic term")] = None
    fisher_items: Annotated[
        Items, Field(ge=1, description="examples from which the Fisher information is estimated")
    ] = 64


class Cpo(Frozen):
    """A penalty on moving important weights alone. They are those of what was known (CPO, arXiv 2607.04364)."""

    cpo_lambda: Annotated[
        Weight | None, Field(gt=0, description="weight of the mean movement (L1) of protected weights; default 100")
    ] = None
    protected: Annotated[
        float, Field(gt=0, le=1, description="share of each tensor's weights that is protected, by Fisher information")
    ] = 0.1
    fisher_items: Annotated[
        Items, Field(ge=1, description="examples from which the Fisher information is estimated")
    ] = 64


class L2(Frozen):
    """A penalty on moving, all weights alike. It holds to the stage's first weights."""

    l2_lambda: Annotated[Weight | None, Field(gt=0, description="weight of the quadratic term")] = None


class Average(Frozen):
    """Weights averaged with earlier ones. It is done after the last step of a stage (arXiv 2309.06256)."""

    average_with: Annotated[
        Literal["start", "base"], Field(description="the weights that the stage began with, or those of the base")
    ] = "start"
    average_share: Annotated[
        Annotated[float, Field(ge=0, le=1)] | Literal["cap"],
        Field(
            description="share of the way from those to where the stage ended; `cap`: the largest with which the KL is "
            "within the stage's cap, all of it where the stage ended within"
        ),
    ] = 0.5


class LowRank(Frozen):
    """A low-rank update of every weight matrix. It is LoRA (arXiv 2106.09685), merged as it goes.

    To train an adapter over an untouched base, and save its memory, set `model.lora`.
    """

    r: Annotated[Rank, Field(ge=1, description="rank of the update of a weight matrix")] = 8
    lora_alpha: Annotated[Weight, Field(gt=0, description="scale; the update is multiplied by lora_alpha / r")] = 16


def not_0(value: Any, remedy: str) -> Any:
    """The value of a setting.

    Raises:
        ValueError: it is negative, or 0 (with the remedy).
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
        raise ValueError(f"must be greater than 0{f'; got {value}' if value else f': {remedy}'}")
    return value
