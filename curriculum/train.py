"""Train settings under TRL's own names, for all stages, for one method, or for one stage."""

from typing import Annotated, Any, Literal

from pydantic import Field

from perdure.budget.config import Frozen

Method = Literal["sft", "rl", "chord"]


class Common(Frozen):
    """Settings that every method has. `None` leaves the method's own default (see `agent/methods`)."""

    learning_rate: Annotated[float | None, Field(gt=0, description="peak learning rate of AdamW")] = None
    max_steps: Annotated[int | None, Field(ge=1, description="optimiser steps of the stage")] = None
    num_train_epochs: Annotated[
        float | None, Field(gt=0, description="passes over the data; ignored with `max_steps`")
    ] = None
    per_device_train_batch_size: Annotated[int | None, Field(ge=1, description="sequences a step and device")] = None
    gradient_accumulation_steps: Annotated[int | None, Field(ge=1, description="batches a step")] = None
    lr_scheduler_type: Annotated[str | None, Field(description="a scheduler of transformers, by name")] = None
    warmup_steps: Annotated[float | None, Field(ge=0, description="steps of warm-up; below 1 a share of all steps")] = (
        None
    )
    max_grad_norm: Annotated[float | None, Field(ge=0, description="gradient clipping; 0 for none")] = None
    weight_decay: Annotated[float | None, Field(ge=0, description="AdamW's weight decay")] = None
    save_steps: Annotated[int | None, Field(ge=1, description="steps between checkpoints inside a stage")] = None
    trl: Annotated[dict[str, Any], Field(description="any other field of TRL's config, by its own name")] = {}


class Generation(Frozen):
    """Settings of the methods that sample from the policy."""

    num_generations: Annotated[int | None, Field(ge=2, description="completions a prompt")] = None
    max_completion_length: Annotated[int | None, Field(ge=1, description="tokens a completion")] = None
    temperature: Annotated[float | None, Field(gt=0, description="sampling temperature")] = None
    beta: Annotated[float | None, Field(ge=0, description="weight of TRL's own KL term; 0 for none")] = None


class SftTrain(Common):
    """Supervised fine-tuning (TRL's SFTTrainer)."""

    max_length: Annotated[int | None, Field(ge=2, description="tokens of prompt and answer together")] = None


class RlTrain(Common, Generation):
    """Reinforcement learning (TRL's GRPOTrainer)."""

    loss_type: Annotated[str | None, Field(description="TRL's loss; perdure's default is `dr_grpo`")] = None
    scale_rewards: Annotated[str | bool | None, Field(description="TRL's advantage scaling; default `none`")] = None


class ChordTrain(RlTrain):
    """SFT and RL terms in one loss (CHORD, arXiv 2508.11408)."""

    mu_start: Annotated[float, Field(ge=0, le=1, description="weight of the SFT term at the first step")] = 0.9
    mu_end: Annotated[float, Field(ge=0, le=1, description="weight of the SFT term after `mu_decay_steps`")] = 0.05
    mu_decay_steps: Annotated[int | None, Field(ge=1, description="steps of the decay; default: all of the stage")] = (
        None
    )
    sft_batch_size: Annotated[int, Field(ge=1, description="demonstrations in the SFT term of a step")] = 8
    phi: Annotated[bool, Field(description="weigh each demonstration token by p(1-p)")] = True


class Train(Common, Generation):
    """Settings shared by the methods, and below them those of one method alone, which win."""

    sft: Annotated[SftTrain, Field(description="settings of `sft` alone; they win")] = SftTrain()
    rl: Annotated[RlTrain, Field(description="settings of `rl` alone; they win")] = RlTrain()
    chord: Annotated[ChordTrain, Field(description="settings of `chord` alone; they win")] = ChordTrain()


SECTIONS: dict[Method, type[Common]] = {"sft": SftTrain, "rl": RlTrain, "chord": ChordTrain}


def settings_for(method: Method, everywhere: Train, stage: Train) -> Common:
    """The settings of one method in one stage.

    From weakest to strongest: the curriculum's `train`, its section for the method, the stage's `train`, its section.
    Only values that the file sets count; `trl` dictionaries are merged key by key.
    """
    layers = [everywhere, getattr(everywhere, method), stage, getattr(stage, method)]
    merged: dict[str, Any] = {}
    trl: dict[str, Any] = {}
    fields = SECTIONS[method].model_fields
    for layer in layers:
        given = layer.model_dump(include=layer.model_fields_set, exclude_none=True)
        merged |= {name: value for name, value in given.items() if name in fields}
        trl |= layer.trl
    return SECTIONS[method](**(merged | {"trl": trl}))
