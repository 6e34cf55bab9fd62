"""From train settings to the config object of TRL's trainer, before anything is trained.

Defaults follow the language-model experiments of RL's Razor (arXiv 2509.04259): AdamW, warm-up, gradient norm 1, no
weight decay, a constant rate after the warm-up (so that a stage which the monitor stops is not one whose rate had yet
to fall), and the low end of its learning rates, 1e-5, for full fine-tuning; LoRA usually wants ten times that.
Departures: the warm-up is a tenth of the stage and not 50 steps, which many stages do not have; RL takes 8 prompts of 8
completions a step and not of 64. Lengths and everything unnamed here are TRL's own.
"""

import dataclasses
import warnings
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from perdure.agent.worlds.language.trl.refused_settings import check_sampling
from perdure.budget.errors import ConfigError
from perdure.curriculum.settings import LowLrSftTrain, RlTrain, SftTrain, TrlCommon
from perdure.curriculum.train import SECTIONS
from perdure.curriculum.worlds.contract import ON_SFT, Method
from perdure.curriculum.worlds.language.trl_fields import CONFIGS, OWNED, REFUSED, fields_of

SAVE_STEPS = 50
"""Optimiser steps between the checkpoints inside a stage, where the settings name none."""

PROMPTS_PER_STEP = 8

SHARED: dict[str, Any] = {
    "learning_rate": 1e-5,
    "num_train_epochs": 1.0,
    "gradient_accumulation_steps": 1,
    "lr_scheduler_type": "constant_with_warmup",
    "warmup_steps": 0.1,
    "max_grad_norm": 1.0,
    "weight_decay": 0.0,
}
SAMPLING: dict[str, Any] = {
    "num_generations": 8,
    "max_completion_length": 512,
    "temperature": 1.0,
    "beta": 0.0,
    "scale_rewards": "none",
}
SFT: dict[str, Any] = SHARED | {"per_device_train_batch_size": 16, "max_length": 1024}
RL: dict[str, Any] = SHARED | SAMPLING | {"loss_type": "dr_grpo"}
DEFAULTS: dict[Method, dict[str, Any]] = {
    "sft": SFT,
    "rl": RL,
    # Each term is divided by its own number of tokens: `dapo` counts them over the whole step. On one batch it equals
    # `dr_grpo` times max_completion_length / mean completion length, so mu means the same whatever the lengths are.
    "chord": SHARED | SAMPLING | {"loss_type": "dapo"},
    "gate": SHARED | SAMPLING | {"loss_type": "dapo"},  # for the same reason
    "tilt": SHARED | SAMPLING | {"beta": 1.0},  # TRL holds the base for a KL term alone; `tilt` needs it and has none
    "sdft": SHARED | SAMPLING | {"num_generations": 2},  # the fewest that TRL samples
    "rl_kl": RL | {"beta": 0.1},
    **dict.fromkeys(ON_SFT, SFT),
}
"""What each method does where the settings say nothing. The samplers' batch is 8 prompts of `num_generations`."""

OURS = {name for section in map(SECTIONS.__getitem__, DEFAULTS) for name in section.model_fields} - {
    *RlTrain.model_fields,
    *SftTrain.model_fields,
} | {"trl", "save_steps", "redraw"}
"""Settings that TRL does not have, or that perdure carries out itself."""


def ours(method: Method) -> set[str]:
    """`OURS` for one method: TRL's SFT has no KL term, so that the `beta` of `sft_kl` is perdure's."""
    return OURS | ({"beta"} if method == "sft_kl" else set())


def samples(method: Method) -> bool:
    """Whether the method samples completions, and so is carried out by TRL's GRPOTrainer."""
    return CONFIGS[method] == "GRPOConfig"


def build_config(
    method: Method, settings: TrlCommon, *, folder: Path, seed: int, device_type: str, dtype: str | Any
) -> Any:
    """TRL's `SFTConfig` or `GRPOConfig` for one stage; touches no file, so every stage can be checked at the start.

    Order, from weakest: the method's defaults, `settings.trl`, the typed settings, what perdure sets itself.
    Weights train in `dtype`; on CUDA bfloat16 weights also run under bfloat16 autocast and activations are
    checkpointed, as TRL does by itself (`trl: {bf16: …, activation_checkpointing: …}` change that).

    Raises:
        ConfigError: a field that TRL does not have, that perdure sets itself, or that is given twice; TRL's own
            refusal, in its words.
    """
    import trl

    config_class = getattr(trl, CONFIGS[method])
    values = merge(method, settings, known={field.name for field in dataclasses.fields(config_class)})
    check_sampling(method, settings.trl, values)
    on_cpu = device_type == "cpu"
    fields = _hardware(method, values, on_cpu, str(dtype)) | values | _owned(folder, seed, on_cpu)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = config_class(**fields)
            _check(config)
    except (TypeError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ConfigError(f"train settings of `{method}`: TRL refuses them: {error}") from error
    return config


def _hardware(method: Method, values: dict[str, Any], on_cpu: bool, dtype: str) -> dict[str, Any]:
    """What the device decides, and what keeps TRL quiet; the user's own `values` win over it."""
    fields = {
        "bf16": not on_cpu and "bfloat16" in dtype and not values.get("fp16"),
        "activation_checkpointing": not on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "dataloader_num_workers": 0,
        "report_to": "none",
    }
    return fields | {"num_completions_to_print": 0} if samples(method) else fields


def _owned(folder: Path, seed: int, on_cpu: bool) -> dict[str, Any]:
    """What perdure sets itself, over everything."""
    return {
        "output_dir": str(folder),
        "seed": seed,
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "use_cpu": on_cpu,
    }


def merge(method: Method, settings: TrlCommon, *, known: set[str]) -> dict[str, Any]:
    """The fields that the method's defaults, `settings.trl` and the typed settings add up to.

    Raises:
        ConfigError: a field under `trl` that is not known, not the user's, or given twice.
    """
    typed = {
        name: getattr(settings, name)
        for name in type(settings).model_fields
        if name not in ours(method) and getattr(settings, name) is not None
    }
    extra = dict(settings.trl)
    for key, value in extra.items():
        _check_field(method, key, known)
        if key in typed and typed[key] != value:
            raise ConfigError(
                f"train settings of `{method}`: {key} is {typed[key]!r} and, under trl, {value!r}; keep one of them"
            )
    for old in ("gradient_checkpointing", "gradient_checkpointing_kwargs"):
        if old in extra:
            extra[old.replace("gradient", "activation")] = extra.pop(old)
    values = DEFAULTS[method] | extra | typed
    if isinstance(settings, LowLrSftTrain) and settings.learning_rate is None:
        values["learning_rate"] *= settings.learning_rate_share
    if samples(method):
        values.setdefault("per_device_train_batch_size", PROMPTS_PER_STEP * values["num_generations"])
    return values


def _check_field(method: Method, key: str, known: set[str]) -> None:
    reason = (OWNED | REFUSED).get(key)
    if reason is not None:
        raise ConfigError(f"train settings of `{method}`: trl.{key} cannot be set: {reason}")
    if key in ours(method) & set(SECTIONS[method].model_fields):
        raise ConfigError(f"train settings of `{method}`: write trl.{key} as `{key}`, one level up")
    if key not in known:
        close = get_close_matches(key, sorted(known), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"train settings of `{method}`: {CONFIGS[method]} of the installed TRL has no field {key!r}{hint}"
        )


def _check(config: Any) -> None:
    """What TRL would only refuse once it trains.

    Raises:
        ValueError, ImportError, RuntimeError: in TRL's words where it has some.
    """
    import torch
    from transformers import get_scheduler
    from transformers.integrations import get_reporting_integration_callbacks

    losses = fields_of(type(config).__name__)["loss_type"].choices
    if losses and config.loss_type not in losses:
        raise ValueError(f"loss_type {config.loss_type!r} is none of {', '.join(losses)}")
    if config.n_gpu > 1:
        raise ValueError("several GPUs are visible to one process; show it one with CUDA_VISIBLE_DEVICES")
    if getattr(config, "use_vllm", False):
        import_module("vllm")
    if config.use_liger_kernel:
        import_module("liger_kernel")
    for reporter in get_reporting_integration_callbacks(config.report_to):
        reporter()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    get_scheduler(
        config.lr_scheduler_type,
        optimizer,
        num_warmup_steps=1,
        num_training_steps=10,
        scheduler_specific_kwargs=config.lr_scheduler_kwargs,
    )


def save_steps(settings: TrlCommon) -> int:
    """Optimiser steps between checkpoints."""
    return settings.save_steps or SAVE_STEPS
