"""The vision world, as a curriculum sees it: its model, its tasks, and one row a method.

RL's Razor (arXiv 2509.04259) gives only the learning rates, the two schedules and the epochs of its toy. The rest is
chosen here: AdamW without weight decay and without clipping, as in its language-model experiments but for the clipping;
64 images a step, so that a pass over a few thousand images has some fifty steps; groups of 8 samples, of ten possible
answers; a warm-up over a tenth of the steps for `cosine`, none for `constant`, which has none in transformers either.
SimPO's two constants are within its paper's own range.
"""

from typing import Annotated, Any

from pydantic import Field

from perdure.budget.bounds import Samples, Weight
from perdure.curriculum.evaluation import EVALUATION_BY_VLLM
from perdure.curriculum.settings import (
    Common,
    Exploring,
    Gated,
    Imitation,
    Mixture,
    Sampling,
    Tilting,
)
from perdure.curriculum.worlds.contract import WorldSpec
from perdure.curriculum.worlds.methods import DEMONSTRATIONS, REWARD, MethodSpec, Need
from perdure.curriculum.worlds.nouns import Nouns
from perdure.curriculum.worlds.own_loops import CHOICES, modifiers_of, recipes_of
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.curriculum.worlds.vision.tasks import RULES, Images


class VisionSft(Common, Imitation):
    """Supervised fine-tuning on a writer's labels."""

    redraw: Annotated[
        bool | None,
        Field(
            description="draw the labels of a writer with a choice afresh in every pass, the default; `false` keeps "
            "the first draw"
        ),
    ] = None


class VisionRl(Common, Sampling, Exploring):
    """Reinforcement learning by GRPO."""

    scale_rewards: Annotated[str | bool | None, Field(description="`none`, the default, or `group`")] = None


class VisionChord(VisionRl, Mixture):
    """SFT and RL terms in one loss (CHORD, arXiv 2508.11408)."""


class VisionGate(VisionRl, Gated):
    """SFT on images where no sample succeeds, RL on the others (the gate of HPT, arXiv 2509.04419)."""


class VisionTilt(Common, Tilting):
    """Fits q* ∝ π0·R by samples that the reward verifies."""


class Reinforce(Common):
    """REINFORCE: policy gradient of a 1-0 reward. In the vision world it has no baseline."""

    num_generations: Annotated[Samples | None, Field(ge=1, description="labels sampled an image; default 8")] = None


class Simpo(Common):
    """SimPO on right and wrong base answers. Its pairs are drawn once (arXiv 2405.14734, vision world).

    Field names are those of TRL's CPOConfig. `train.beta` is the weight of a KL term and is not this scale.
    """

    beta: Annotated[Weight | None, Field(gt=0, description="scale of the reward; default 2.0")] = None
    simpo_gamma: Annotated[Weight | None, Field(ge=0, description="target reward margin; default 1.0")] = None


_CODE = "perdure.agent.worlds.vision.methods"
VISION_DEFAULTS: dict[str, Any] = {
    "learning_rate": 1e-4,
    "num_train_epochs": 1.0,
    "per_device_train_batch_size": 64,
    "lr_scheduler_type": "constant",
    "weight_decay": 0.0,
    "max_grad_norm": 0.0,
}
_SAMPLING: dict[str, Any] = VISION_DEFAULTS | {
    "num_generations": 8,
    "scale_rewards": "none",
    "beta": 0.0,
    "entropy_coef": 0.0,
}
_ONE_LABEL = "a response is one label"


def _objective(name: str, settings: type[Common], needs: frozenset[Need], **more: Any) -> MethodSpec:
    return MethodSpec(name, "vision", "objective", settings, f"{_CODE}.{name}", needs, **more)


_OBJECTIVES = (
    _objective("sft", VisionSft, DEMONSTRATIONS, defaults=VISION_DEFAULTS),
    _objective("rl", VisionRl, REWARD, defaults=_SAMPLING),
    _objective("chord", VisionChord, DEMONSTRATIONS | REWARD, defaults=_SAMPLING),
    _objective("gate", VisionGate, DEMONSTRATIONS | REWARD, parent="rl", defaults=_SAMPLING),
    _objective("tilt", VisionTilt, REWARD, defaults=VISION_DEFAULTS | {"num_generations": 8, "samples_from": "policy"}),
    _objective("reinforce", Reinforce, REWARD, defaults=_SAMPLING),
    _objective(
        "simpo",
        Simpo,
        REWARD,
        defaults=VISION_DEFAULTS | {"beta": 2.0, "simpo_gamma": 1.0},
        unshared=frozenset({"beta"}),
    ),
)


VISION = WorldSpec(
    name="vision",
    model=MlpModel,
    tasks=(Images,),
    settings=(Common, Sampling),
    methods=(*_OBJECTIVES, *modifiers_of("vision")),
    recipes=recipes_of("vision"),
    build="perdure.curriculum.worlds.vision.source:build",
    paths="perdure.curriculum.worlds.vision.paths:local_paths",
    sample="perdure.curriculum.worlds.vision.sample",
    accepts="this model sees images",
    rewards=RULES,
    demonstrations_from="name a `writer`",
    neutral_prompts=True,
    one_step_answers=True,
    candidates=("rl_kl+replay", "low_lr_sft", "tilt", "rl_kl"),
    export="perdure.agent.worlds.vision.export:export_policy",
    nouns=Nouns(token="image", sequence="image", answer="label", prompt="image", to="of"),
    lacks={
        "trl": "TRL trains language models, and this is a classifier of images",
        "max_completion_length": _ONE_LABEL,
        "max_length": _ONE_LABEL,
        "temperature": "labels are sampled at temperature 1",
        "loss_type": "every step is on fresh samples, where TRL's losses are the same",
        "gradient_accumulation_steps": "raise `per_device_train_batch_size` instead",
        "save_steps": "an update takes seconds, and one that was killed starts again",
        "sft_batch_size": "both terms are of the same images",
        "top_k": "there are ten labels, and the entropy is that of all of them",
    },
    ignores={
        ("budget", "max_completion_length"): _ONE_LABEL,
        ("evaluation", "max_completion_length"): _ONE_LABEL,
        **dict.fromkeys(EVALUATION_BY_VLLM, "an image's label is no text that vLLM generates"),
        ("evaluation", "batch_size"): "all images are answered at once",
    },
    choices=CHOICES,
)
