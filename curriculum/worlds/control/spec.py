"""The control world, as a curriculum sees it: its policies, its tasks, and one row a method."""

from typing import Annotated, Any

from pydantic import Field

from perdure.budget.bounds import Level, Samples, Weight
from perdure.budget.config import Frozen
from perdure.curriculum.evaluation import EVALUATION_BY_VLLM
from perdure.curriculum.settings import (
    Checkpointed,
    Common,
    Exploring,
    Imitation,
    Mixture,
    Sampling,
    Tilting,
)
from perdure.curriculum.worlds.contract import WorldSpec
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.tasks import SUCCESSES, Gymnasium
from perdure.curriculum.worlds.methods import DEMONSTRATIONS, REWARD, MethodSpec, Need
from perdure.curriculum.worlds.nouns import Nouns
from perdure.curriculum.worlds.own_loops import CHOICES, modifiers_of, recipes_of


class ControlCommon(Common, Checkpointed):
    """Settings of all objectives."""


class ControlSft(ControlCommon, Imitation):
    """Behaviour cloning of demonstrations."""


class Repeated(Frozen):
    """Settings of the objectives that learn from the same episodes for several steps."""

    num_iterations: Annotated[
        Level | None, Field(ge=1, description="optimiser steps on the same episodes; default 3")
    ] = None


class ControlSampling(ControlCommon, Sampling, Repeated):
    """Settings of the objectives that play episodes; names and meanings are TRL's."""

    epsilon: Annotated[
        Weight | None, Field(gt=0, description="clipping of the importance ratio of a decision; default 0.2")
    ] = None


class ControlRl(ControlSampling, Exploring):
    """Reinforcement learning by groups of episodes of the same start, with Dr. GRPO's advantages."""

    scale_rewards: Annotated[str | bool | None, Field(description="`none`, the default, or `group`")] = None


class ControlReinforce(ControlCommon):
    """REINFORCE with rewards normalised over the batch (control world)."""

    num_generations: Annotated[Samples | None, Field(ge=1, description="episodes a start; default 6")] = None


class ControlChord(ControlRl, Mixture):
    """SFT and RL terms in one loss (CHORD, arXiv 2508.11408)."""


class ControlTilt(ControlCommon, Tilting, Repeated):
    """Fits q* ∝ π0·R by fresh episodes that succeed."""


_CODE = "perdure.agent.worlds.control.methods"
CONTROL_DEFAULTS: dict[str, Any] = {
    "learning_rate": 3e-4,
    "num_train_epochs": 40.0,
    "per_device_train_batch_size": 16,
    "lr_scheduler_type": "constant",
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "save_steps": 30,
}
_PLAYING: dict[str, Any] = CONTROL_DEFAULTS | {
    "num_generations": 6,
    "num_iterations": 3,
    "epsilon": 0.2,
    "scale_rewards": "none",
    "beta": 0.0,
    "entropy_coef": 0.0,
}
_NO_TEXT = "an episode has no tokens; its task has a `horizon`"


def _objective(name: str, settings: type[Common], needs: frozenset[Need], **more: Any) -> MethodSpec:
    return MethodSpec(name, "control", "objective", settings, f"{_CODE}.{name}", needs, **more)


_OBJECTIVES = (
    _objective("sft", ControlSft, DEMONSTRATIONS, defaults=CONTROL_DEFAULTS),
    _objective("rl", ControlRl, REWARD, defaults=_PLAYING),
    _objective("chord", ControlChord, DEMONSTRATIONS | REWARD, defaults=_PLAYING),
    _objective("tilt", ControlTilt, REWARD, defaults=_PLAYING | {"samples_from": "policy"}),
    _objective("reinforce", ControlReinforce, REWARD, defaults=_PLAYING | {"num_iterations": 1}),
)


CONTROL = WorldSpec(
    name="control",
    model=ControlModel,
    tasks=(Gymnasium,),
    settings=(ControlCommon, Sampling),
    methods=(*_OBJECTIVES, *modifiers_of("control")),
    recipes=recipes_of("control"),
    build="perdure.curriculum.worlds.control.source:build",
    paths="perdure.curriculum.worlds.control.paths:local_paths",
    look_up="perdure.curriculum.worlds.control.look_up:look_up",
    sample="perdure.curriculum.worlds.control.sample",
    accepts="this model acts in environments",
    rewards=SUCCESSES,
    demonstrations_from="give it `demonstrations`",
    neutral_prompts=True,
    candidates=("replay", "rl+replay", "tilt", "sft"),
    film="perdure.agent.worlds.control.film:make_clip",
    export="perdure.agent.worlds.control.export:export_policy",
    nouns=Nouns(token="decision", sequence="episode", answer="episode", prompt="start", score="success", to="of"),
    lacks={
        "trl": "TRL trains language models, and this is a policy of environments",
        "max_completion_length": _NO_TEXT,
        "max_length": _NO_TEXT,
        "temperature": "actions are sampled at temperature 1",
        "loss_type": "the loss is Dr. GRPO's",
        "gradient_accumulation_steps": "raise `per_device_train_batch_size` instead",
        "sft_batch_size": "both terms are of the same starts",
        "top_k": "the entropy is that of all values of a dimension",
    },
    ignores={
        ("budget", "max_completion_length"): _NO_TEXT,
        ("evaluation", "max_completion_length"): _NO_TEXT,
        **dict.fromkeys(EVALUATION_BY_VLLM, "actions are no text that vLLM generates"),
        ("evaluation", "batch_size"): "episodes are played in step",
    },
    choices=CHOICES,
)
