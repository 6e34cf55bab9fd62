"""The train settings of each update method, under TRL's own names where TRL has them."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from perdure.budget.config import Frozen, broken_rule


class Common(Frozen):
    """Settings that every method of every world has. `None` leaves the method's own default."""

    learning_rate: Annotated[float | None, Field(gt=0, description="peak learning rate of AdamW")] = None
    max_steps: Annotated[int | None, Field(ge=1, description="optimiser steps of the stage")] = None
    num_train_epochs: Annotated[
        float | None, Field(gt=0, description="passes over the data; ignored with `max_steps`")
    ] = None
    per_device_train_batch_size: Annotated[
        int | None, Field(ge=1, description="sequences a step and device; in the vision world images a step")
    ] = None
    lr_scheduler_type: Annotated[
        str | None,
        Field(
            description="a scheduler of transformers, by name; in the vision world `constant`, `constant_with_warmup`, "
            "`linear` or `cosine`"
        ),
    ] = None
    warmup_steps: Annotated[float | None, Field(ge=0, description="steps of warm-up; below 1 a share of all steps")] = (
        None
    )
    max_grad_norm: Annotated[float | None, Field(ge=0, description="gradient clipping; 0 for none")] = None
    weight_decay: Annotated[float | None, Field(ge=0, description="AdamW's weight decay")] = None


def not_0(beta: Any, *, without: str) -> Any:
    """The weight of a KL term, as it is given; without the term the method is another one, which `without` names.

    Raises:
        ValueError: it is 0.
    """
    if isinstance(beta, int | float) and not isinstance(beta, bool) and beta == 0:
        raise ValueError(f"must be greater than 0: without its term this method is `{without}`; name that one instead")
    return beta


class TrlCommon(Common):
    """Further settings of the methods that TRL carries out in the language world."""

    gradient_accumulation_steps: Annotated[int | None, Field(ge=1, description="batches a step; language world")] = None
    save_steps: Annotated[
        int | None, Field(ge=1, description="steps between checkpoints inside a stage; language world")
    ] = None
    trl: Annotated[
        dict[str, Any], Field(description="any other field of TRL's config, by its own name; language world")
    ] = {}


class Generation(Frozen):
    """Settings of the methods that sample from the policy."""

    num_generations: Annotated[
        int | None, Field(ge=2, description="completions a prompt; in the vision world labels an image")
    ] = None
    max_completion_length: Annotated[int | None, Field(ge=1, description="tokens a completion; language world")] = None
    temperature: Annotated[float | None, Field(gt=0, description="sampling temperature; language world")] = None
    beta: Annotated[
        float | None,
        Field(
            ge=0,
            description="weight of the method's own KL term; 0 for none. In the language world TRL's, in the vision "
            "world the exact reverse KL to the original base",
        ),
    ] = None


class SftTrain(TrlCommon):
    """Supervised fine-tuning (TRL's SFTTrainer in the language world)."""

    max_length: Annotated[
        int | None, Field(ge=2, description="tokens of prompt and answer together; language world")
    ] = None
    redraw: Annotated[
        bool | None,
        Field(
            description="draw the labels of a writer who has a choice afresh in every pass, the default; `false` keeps "
            "the first draw; vision world"
        ),
    ] = None


class RlTrain(TrlCommon, Generation):
    """Reinforcement learning (TRL's GRPOTrainer in the language world, GRPO in the vision world)."""

    loss_type: Annotated[
        str | None, Field(description="TRL's loss; perdure's default is `dr_grpo`; language world")
    ] = None
    scale_rewards: Annotated[
        str | bool | None,
        Field(description="TRL's advantage scaling; default `none`; in the vision world also `group`"),
    ] = None


class ChordTrain(RlTrain):
    """SFT and RL terms in one loss (CHORD, arXiv 2508.11408)."""

    mu_start: Annotated[float, Field(ge=0, le=1, description="weight of the SFT term at the first step")] = 0.9
    mu_end: Annotated[float, Field(ge=0, le=1, description="weight of the SFT term after `mu_decay_steps`")] = 0.05
    mu_decay_steps: Annotated[int | None, Field(ge=1, description="steps of the decay; default: all of the stage")] = (
        None
    )
    sft_batch_size: Annotated[
        int, Field(ge=1, description="demonstrations in the SFT term of a step; language world")
    ] = 8
    phi: Annotated[bool, Field(description="weigh each demonstration token by p(1-p)")] = True


class ReinforceTrain(Common):
    """1-0 REINFORCE: the policy gradient of a reward of 1 or 0, without a baseline (vision world)."""

    num_generations: Annotated[int | None, Field(ge=1, description="labels sampled an image; default 8")] = None


class SimpoTrain(Common):
    """SimPO (arXiv 2405.14734) on pairs of a right and a wrong answer of the base, drawn once (vision world).

    Field names are those of TRL's CPOConfig. `train.beta` is the weight of a KL term and is not this scale.
    """

    beta: Annotated[float | None, Field(gt=0, description="scale of the reward; default 2.0")] = None
    simpo_gamma: Annotated[float | None, Field(ge=0, description="target reward margin; default 1.0")] = None


class TiltTrain(TrlCommon):
    """Fits q* ∝ π0·R, the KL-minimal correct policy, by fresh samples that the reward verifies."""

    samples_from: Annotated[
        Literal["policy", "base"] | None,
        Field(description="who is sampled: the `policy` as it is, the default, with weights π0/π; or the `base`"),
    ] = None
    num_generations: Annotated[
        int | None, Field(ge=1, description="answers sampled a prompt (or image) and pass; default 8")
    ] = None
    max_completion_length: Annotated[int | None, Field(ge=1, description="tokens a completion; language world")] = None


class GateTrain(RlTrain):
    """SFT on prompts where no sample succeeds, RL on the others (the gate of HPT, arXiv 2509.04419)."""

    success_reward: Annotated[float, Field(description="reward from which a sample counts as a success")] = 0.5
    sft_weight: Annotated[float, Field(gt=0, description="weight of the SFT term")] = 1.0


class SdftTrain(TrlCommon):
    """Self-distillation: the policy that is shown the demonstration teaches itself on its own samples (SDFT).

    SDFT is arXiv 2601.19897 (language world).
    """

    max_completion_length: Annotated[int | None, Field(ge=1, description="tokens a completion")] = None
    temperature: Annotated[float | None, Field(gt=0, description="sampling temperature")] = None
    teacher_decay: Annotated[
        float, Field(ge=0, le=1, description="the teacher's weights are a moving average with this decay; 1: fixed")
    ] = 0.99
    teacher_template: Annotated[
        str, Field(description="what the teacher is told; `{prompt}` and `{demonstration}` stand for the item's")
    ] = "{prompt}\nOne good answer is: {demonstration}\nNow answer in your own words."

    @field_validator("teacher_template")
    @classmethod
    def _shows_both(cls, template: str) -> str:
        if not all(part in template for part in ("{prompt}", "{demonstration}")):
            raise ValueError("`teacher_template` needs `{prompt}` and `{demonstration}`")
        return template


class EaftTrain(SftTrain):
    """SFT in which the entropy of the policy weighs each token (EAFT, arXiv 2601.02151)."""

    top_k: Annotated[int, Field(ge=2, description="the likeliest tokens whose entropy is taken")] = 20


class SftKlTrain(SftTrain):
    """SFT with a KL term to the original base of constant weight."""

    beta: Annotated[
        float | None,
        Field(
            gt=0,
            description="weight of KL(π0 ‖ π) on texts of the base, in the vision world on the images of the step; "
            "default 0.1",
        ),
    ] = None

    @field_validator("beta", mode="before")
    @classmethod
    def _there_is_a_term(cls, beta: Any) -> Any:
        return not_0(beta, without="sft")


class RlKlTrain(RlTrain):
    """`rl` with the KL term that it has at a `beta` above 0."""

    beta: Annotated[float | None, Field(gt=0, description="weight of the KL term of `rl`; default 0.1")] = None

    @field_validator("beta", mode="before")
    @classmethod
    def _there_is_a_term(cls, beta: Any) -> Any:
        return not_0(beta, without="rl")


class LowLrSftTrain(SftTrain):
    """SFT at a fraction of the learning rate that `sft` has here, or at the one that this section names."""

    learning_rate_share: Annotated[
        float, Field(gt=0, lt=1, description="that fraction; a `learning_rate` of this section is taken as it is")
    ] = 0.1

    @model_validator(mode="after")
    def _a_rate_or_a_share(self) -> "LowLrSftTrain":
        if self.learning_rate is not None and "learning_rate_share" in self.model_fields_set:
            message = "`learning_rate` is taken as it is, so that the share has no effect; keep one of the two"
            raise broken_rule(message, "learning_rate_share")
        return self


class ReplayTrain(SftTrain):
    """SFT with a share of the demonstrations of earlier stages mixed in."""

    replay_ratio: Annotated[
        float, Field(ge=0.01, lt=1, description="the share of the examples that come from earlier stages")
    ] = 0.1


class EwcTrain(SftTrain):
    """SFT held to the weights that the stage began with, by their Fisher information (EWC, arXiv 1612.00796)."""

    ewc_lambda: Annotated[float | None, Field(gt=0, description="weight of the quadratic term")] = None
    fisher_items: Annotated[int, Field(ge=1, description="examples from which the Fisher information is estimated")] = (
        64
    )


class L2Train(SftTrain):
    """SFT held to the weights that the stage began with, all alike."""

    l2_lambda: Annotated[float | None, Field(gt=0, description="weight of the quadratic term")] = None


class LoraTrain(SftTrain):
    """SFT whose update of every weight matrix has a low rank (LoRA, arXiv 2106.09685), merged as it goes.

    To train an adapter over an untouched base, and save its memory, set `model.lora`.
    """

    r: Annotated[int, Field(ge=1, description="rank of the update of a weight matrix")] = 8
    lora_alpha: Annotated[float, Field(gt=0, description="scale; the update is multiplied by lora_alpha / r")] = 16
