"""The language world, as a curriculum sees it: its model, its tasks, and one row a method.

Defaults follow the language-model experiments of RL's Razor (arXiv 2509.04259): AdamW, warm-up, gradient norm 1, no
weight decay, a constant rate after the warm-up (a stage that the monitor stops early would end at a rate yet to
decay), and the low end of its learning rates, 1e-5, for full fine-tuning; LoRA usually needs ten times that.
Departures: the warm-up is a tenth of the stage and not 50 steps, which many stages do not have; RL samples 8
completions of 8 prompts a step and not 64. All other defaults are TRL's own.
"""

from dataclasses import dataclass
from typing import Any

from perdure.curriculum.settings import (
    L2,
    Cpo,
    Ewc,
    LowRank,
    Replay,
    SelfReplay,
)
from perdure.curriculum.worlds.averaging import average_in
from perdure.curriculum.worlds.contract import WorldSpec
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.language.moments import moments
from perdure.curriculum.worlds.language.settings import (
    Generation,
    LanguageChord,
    LanguageGate,
    LanguageKl,
    LanguageRl,
    LanguageSft,
    LanguageTilt,
    Sdft,
    TrlCommon,
)
from perdure.curriculum.worlds.language.tasks import TEXT_SOURCES
from perdure.curriculum.worlds.language.text_source import OWN_REWARD, REWARD_NAMES
from perdure.curriculum.worlds.methods import (
    BASE_TEXTS,
    DEMONSTRATIONS,
    REWARD,
    SINGLE,
    MethodSpec,
    Need,
    Recipe,
    Sizes,
)
from perdure.curriculum.worlds.sizes import (
    anchors,
    anchors_and_fisher,
    low_rank_copies,
    low_rank_factors,
    protected_copies,
)

_CODE = "perdure.agent.worlds.language.methods"
LANGUAGE_DEFAULTS: dict[str, Any] = {
    "learning_rate": 1e-5,
    "num_train_epochs": 1.0,
    "gradient_accumulation_steps": 1,
    "lr_scheduler_type": "constant_with_warmup",
    "warmup_steps": 0.1,
    "max_grad_norm": 1.0,
    "weight_decay": 0.0,
}
_SAMPLING: dict[str, Any] = LANGUAGE_DEFAULTS | {
    "num_generations": 8,
    "max_completion_length": 512,
    "temperature": 1.0,
    "beta": 0.0,
    "scale_rewards": "none",
}


@dataclass(frozen=True)
class LanguageObjective(MethodSpec):
    """An objective that one of TRL's trainers carries out.

    Attributes:
        config: TRL's config class; with `GRPOConfig` the method samples.
        has_own_loss: it replaces the loss of GRPO, so that settings of that loss have no effect.
        samples_exactly: its weights are right only for samples of the policy itself.
    """

    config: str = "GRPOConfig"
    has_own_loss: bool = False
    samples_exactly: bool = False


def base_copy(settings: Any, sizes: Sizes) -> int:
    """A second model for the base."""
    return 0 if sizes.has_base else sizes.weights


def base_copy_for_kl(settings: Any, sizes: Sizes) -> int:
    """A second model for the base, for a KL term."""
    return base_copy(settings, sizes) if settings.beta else 0


def teacher(settings: Any, sizes: Sizes) -> int:
    """The trained weights once more, in float32."""
    return sizes.trained_float32


def _objective(name: str, settings: type[TrlCommon], needs: frozenset[Need], **more: Any) -> LanguageObjective:
    code = f"{_CODE}.{name}"
    return LanguageObjective(name, "language", "objective", settings, code, needs, moments=moments, **more)


def _modifier(name: str, settings: Any, **more: Any) -> MethodSpec:
    return MethodSpec(name, "language", "modifier", settings, f"{_CODE}.{name}", **more)


# `dapo` counts tokens over the whole step, so that each term of `chord` and `gate` is divided by its own number of
# them. On one batch it equals `dr_grpo` times max_completion_length / mean completion length, so mu means the same
# whatever the lengths are.
_BY_TOKEN = _SAMPLING | {"loss_type": "dapo"}

_OBJECTIVES = (
    _objective(
        "sft",
        LanguageSft,
        DEMONSTRATIONS | SINGLE,
        config="SFTConfig",
        defaults=LANGUAGE_DEFAULTS | {"per_device_train_batch_size": 16, "max_length": 1024},
    ),
    _objective("rl", LanguageRl, REWARD, defaults=_SAMPLING | {"loss_type": "dr_grpo"}, copies=base_copy_for_kl),
    _objective("chord", LanguageChord, DEMONSTRATIONS | REWARD | SINGLE, defaults=_BY_TOKEN, copies=base_copy_for_kl),
    _objective(
        "gate", LanguageGate, DEMONSTRATIONS | REWARD | SINGLE, parent="rl", defaults=_BY_TOKEN, copies=base_copy_for_kl
    ),
    # TRL keeps the base only for a KL term; `tilt` needs it and has no such term.
    _objective(
        "tilt",
        LanguageTilt,
        REWARD | SINGLE,
        defaults=_SAMPLING | {"beta": 1.0},
        has_own_loss=True,
        samples_exactly=True,
        copies=base_copy,
    ),
    # TRL samples at least two.
    _objective(
        "sdft",
        Sdft,
        DEMONSTRATIONS | SINGLE,
        defaults=_SAMPLING | {"num_generations": 2},
        has_own_loss=True,
        copies=teacher,
    ),
)

# The weights of `ewc` and `l2` come from a look at builtin:tiny (one seed, 50 steps of SFT at 2e-4 after a first task).
# At `ewc_lambda` 10, 100 and 1000 the KL on the base's own skills was 0.370, 0.320 and 0.260 nats a token against SFT's
# 0.377, and the new task's accuracy 0.43, 0.42 and 0.40 against 0.42; at `l2_lambda` 0.1 that was 0.22, at 0.01 0.32.
_MODIFIERS = (
    _modifier("replay", Replay, needs=SINGLE),
    _modifier("kl", LanguageKl, needs=BASE_TEXTS, defaults={"beta": 0.1}),
    _modifier("ewc", Ewc, needs=BASE_TEXTS, defaults={"ewc_lambda": 1000.0}, copies=anchors_and_fisher),
    _modifier("l2", L2, defaults={"l2_lambda": 0.01}, copies=anchors),
    _modifier("low_rank", LowRank, copies=low_rank_copies, factors=low_rank_factors),
    _modifier("cpo", Cpo, needs=BASE_TEXTS, defaults={"cpo_lambda": 100.0}, copies=protected_copies),
    average_in("language"),
    _modifier("self_replay", SelfReplay, needs=BASE_TEXTS, defaults={"self_replay_weight": 1.0}),
)


def _recipe(name: str, objective: str, *modifiers: str, **more: Any) -> Recipe:
    return Recipe(name, "language", objective, modifiers, **more)


_RECIPES = (
    _recipe(
        "rl_kl",
        "rl",
        defaults={"beta": 0.1},
        nonzero=frozenset({"beta"}),
        summary="`rl` with its own KL term, at a `beta` above 0.",
    ),
    _recipe(
        "eaft",
        "sft",
        settings={"token_weight": "entropy"},
        summary="SFT in which the entropy of the policy weighs each token (EAFT, arXiv 2601.02151).",
    ),
    _recipe(
        "sft_kl",
        "sft",
        "kl",
        nonzero=frozenset({"beta"}),
        shared=frozenset({"beta"}),
        summary="SFT with a KL term to the original base of constant weight.",
    ),
    _recipe(
        "low_lr_sft",
        "sft",
        settings={"learning_rate_share": 0.1},
        summary="SFT at a fraction of the learning rate of `sft`, or at the rate that this section names "
        "(arXiv 2509.20758, 2609.35259).",
    ),
    _recipe("replay", "sft", "replay", summary="SFT with a share of the demonstrations of earlier stages mixed in."),
    _recipe(
        "ewc",
        "sft",
        "ewc",
        summary="SFT with a penalty on moving from the stage's first weights, by their Fisher "
        "information (EWC, arXiv 1612.00796).",
    ),
    _recipe("l2", "sft", "l2", summary="SFT with a penalty on moving from the stage's first weights, all alike."),
    _recipe(
        "lora",
        "sft",
        "low_rank",
        summary="SFT whose update of every weight matrix has a low rank (LoRA, arXiv 2106.09685), merged as it goes.",
    ),
    _recipe(
        "grpo",
        "rl",
        settings={"loss_type": "grpo", "scale_rewards": "group"},
        summary="GRPO (arXiv 2402.03300): advantages divided by their group's deviation, losses a mean by answer.",
    ),
    _recipe(
        "dr_grpo",
        "rl",
        settings={"loss_type": "dr_grpo", "scale_rewards": "none"},
        summary="Dr. GRPO (arXiv 2503.20783): neither lengths nor deviations divide.",
    ),
)

LANGUAGE = WorldSpec(
    name="language",
    several_processes=True,
    model=CausalModel,
    tasks=TEXT_SOURCES,
    settings=(TrlCommon, Generation),
    methods=(*_OBJECTIVES, *_MODIFIERS),
    recipes=_RECIPES,
    build="perdure.curriculum.worlds.language.sources.build:build",
    paths="perdure.curriculum.worlds.language.paths:local_paths",
    look_up="perdure.curriculum.worlds.language.look_up:look_up",
    lacking="perdure.curriculum.worlds.language.machine:lacking",
    library="perdure.curriculum.worlds.language.trl_fields",
    sample="perdure.curriculum.worlds.language.sample",
    accepts="a language model reads text",
    rewards=(*REWARD_NAMES, OWN_REWARD),
    demonstrations_from="from the data, or `demonstrations: module:function`",
    undemonstrated="leave those out (`unreadable: leave_out` of tasks of type `tool_alpaca`)",
    generic_prompts="perdure.curriculum.worlds.language.sources.prompts:load_prompts",
    neutral_prompts=True,
    export="perdure.agent.worlds.language.export:export_policy",
    teacher="perdure.agent.worlds.language.teacher:make_teacher",
    default_schedule="constant_with_warmup",
    candidates=("replay", "chord+replay", "rl+replay", "sft"),
    lacks={"redraw": "this setting is of the vision world; demonstrations in text are written once"},
)
