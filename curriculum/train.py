"""Train settings, under TRL's own names where TRL has them: for all stages, for one method, or for one stage."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from perdure.budget.config import Frozen
from perdure.curriculum.models import World

Method = Literal["sft", "rl", "chord", "reinforce", "simpo", "tilt"]

METHODS: dict[World, tuple[Method, ...]] = {
    "language": ("sft", "rl", "chord"),
    "vision": ("sft", "rl", "chord", "reinforce", "simpo", "tilt"),
}
"""The methods of each world."""

IMITATES: frozenset[Method] = frozenset({"sft", "chord"})
"""The methods that need demonstrations."""

REWARDED: frozenset[Method] = frozenset({"rl", "chord", "reinforce", "simpo", "tilt"})
"""The methods that need a reward."""


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


class TiltTrain(Common):
    """Fits q* ∝ π0·R, the KL-minimal correct policy, by fresh samples that the reward verifies (vision world)."""

    samples_from: Annotated[
        Literal["policy", "base"] | None,
        Field(description="who is sampled: the `policy` as it is, the default, with weights π0/π; or the `base`"),
    ] = None
    num_generations: Annotated[int | None, Field(ge=1, description="labels sampled an image and pass; default 8")] = (
        None
    )


class Train(TrlCommon, Generation):
    """Settings shared by the methods, and below them those of one method alone, which win."""

    sft: Annotated[SftTrain, Field(description="settings of `sft` alone; they win")] = SftTrain()
    rl: Annotated[RlTrain, Field(description="settings of `rl` alone; they win")] = RlTrain()
    chord: Annotated[ChordTrain, Field(description="settings of `chord` alone; they win")] = ChordTrain()
    reinforce: Annotated[ReinforceTrain, Field(description="settings of `reinforce` alone; they win")] = (
        ReinforceTrain()
    )
    simpo: Annotated[SimpoTrain, Field(description="settings of `simpo` alone; they win")] = SimpoTrain()
    tilt: Annotated[TiltTrain, Field(description="settings of `tilt` alone; they win")] = TiltTrain()

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what is set: read again, as a resume does, a default that was written out would count as set and win."""
        return _set_in(self, dump(self))


def _set_in(section: BaseModel, dumped: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in dumped.items() if name in section.model_fields_set}
    for name, value in kept.items():
        held = getattr(section, name)
        if isinstance(held, BaseModel):
            kept[name] = _set_in(held, value)
    return kept


SECTIONS: dict[Method, type[Common]] = {
    "sft": SftTrain,
    "rl": RlTrain,
    "chord": ChordTrain,
    "reinforce": ReinforceTrain,
    "simpo": SimpoTrain,
    "tilt": TiltTrain,
}

OF_ANOTHER_MEANING: dict[Method, frozenset[str]] = {"simpo": frozenset({"beta"})}
"""Settings of a method that it does not take from the shared ones of that name."""


def settings_for(method: Method, everywhere: Train, stage: Train) -> Common:
    """The settings of one method in one stage.

    From weakest to strongest: the curriculum's `train`, its section for the method, the stage's `train`, its section.
    Only values that the file sets count; `trl` dictionaries are merged key by key.
    """
    merged: dict[str, Any] = {}
    trl: dict[str, Any] = {}
    fields = SECTIONS[method].model_fields
    for layer in (everywhere, getattr(everywhere, method), stage, getattr(stage, method)):
        other = OF_ANOTHER_MEANING.get(method, frozenset()) if isinstance(layer, Train) else frozenset()
        given = layer.model_dump(include=layer.model_fields_set - other, exclude_none=True)
        merged |= {name: value for name, value in given.items() if name in fields}
        trl |= getattr(layer, "trl", {})
    return SECTIONS[method](**(merged | ({"trl": trl} if "trl" in fields else {})))
