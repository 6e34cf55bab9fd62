"""From train settings to the config object of TRL's trainer, before anything is trained.

The defaults and their reasons are in `curriculum/worlds/language/spec.py`.
"""

import dataclasses
import os
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.trl.refused_settings import check_sampling, check_weighing
from perdure.budget import ranks
from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.language.settings import PERDURE_FIELDS
from perdure.curriculum.worlds.language.trl_fields import REFUSED_FIELDS, RESERVED_FIELDS, config_of
from perdure.curriculum.worlds.language.trl_source import fields_of
from perdure.curriculum.worlds.methods import Method
from perdure.eval.unwrapped import unwrapped

SAVE_STEPS = 50
"""Optimiser steps between the checkpoints inside a stage, where the settings name none."""

PROMPTS_PER_STEP = 8

MIXED = {"torch.bfloat16": "bf16", "torch.float16": "fp16"}
"""TRL's names of the formats of autocast."""


def samples(method: Method) -> bool:
    """True where the method samples completions, with TRL's GRPOTrainer."""
    return config_of(method) == "GRPOConfig"


def config_for(job: UpdateJob) -> Any:
    """TRL's config of a job. Raises as `build_config`."""
    policy, settings = job.policy, job.settings.objective
    device_type, autocast = policy.model.device.type, policy.autocast_dtype
    config = build_config(
        job.method, settings, folder=job.folder, seed=job.seed, device_type=device_type, autocast=str(autocast)
    )
    if config.n_gpu > 1 and len(set(getattr(unwrapped(policy.model), "hf_device_map", {}).values())) < 2:
        raise ConfigError("several GPUs are visible to one process; show it one with CUDA_VISIBLE_DEVICES")
    return config


def build_config(method: Method, settings: Any, *, folder: Path, seed: int, device_type: str, autocast: str) -> Any:
    """TRL's `SFTConfig` or `GRPOConfig` for one stage; touches no file, so that every stage can be checked in advance.

    Order, from weakest: the method's defaults, `settings.trl`, the typed settings, what perdure sets itself.
    `autocast` is the dtype of `model.autocast`, or `None` as text. On CUDA activations are checkpointed, as TRL does by
    itself (`trl: {activation_checkpointing: …}` changes that).

    Raises:
        ConfigError: a field that TRL does not have, that perdure sets itself, or that is given twice; TRL's own
            refusal, in its words; processes that were started together and have not met.
    """
    import trl

    check_alone(os.environ)

    config_class = getattr(trl, config_of(method))
    values = merge(method, settings, known={field.name for field in dataclasses.fields(config_class)})
    check_sampling(method, settings.trl, values)
    check_weighing(method, settings)
    on_cpu = device_type == "cpu"
    fields = _hardware(method, on_cpu) | values | _owned(folder, seed, on_cpu, autocast)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = config_class(**fields)
            config.mixed_precision = MIXED.get(autocast, "no")  # which transformers also reads from the environment
            _check(config)
    except (TypeError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ConfigError(f"train settings of `{method.name}`: TRL refuses them: {error}") from error
    if samples(method):
        check_groups(method, config)
    return config


def check_groups(method: Method, config: Any) -> None:
    """Refuse answers to one prompt that come from several processes: a group is compared, and weighed, in one.

    Raises:
        ConfigError: the answers that a process samples at a time are no multiple of `num_generations`.
    """
    rows = config.per_device_train_batch_size * config.steps_per_generation
    if ranks.count() > 1 and rows % config.num_generations:
        raise ConfigError(
            f"train settings of `{method.name}`: each of {ranks.count()} processes samples {rows} answers at a time, "
            f"which is no multiple of num_generations, {config.num_generations}: the answers to a prompt come from one "
            f"process. Set per_device_train_batch_size to {config.num_generations} or a multiple of it"
        )


def check_alone(environment: Mapping[str, str]) -> None:
    """Refuse processes that were started together and have not met: each would train, and write, a run of its own.

    Raises:
        ConfigError: `WORLD_SIZE` is not the number of the processes.
    """
    processes = environment.get("WORLD_SIZE", "1")
    if processes != str(ranks.count()):
        raise ConfigError(
            f"WORLD_SIZE is {processes!r}: only `perdure run` and `perdure resume` train in several processes; start "
            "this in one, without `accelerate launch` or `torchrun`"
        )


def _hardware(method: Method, on_cpu: bool) -> dict[str, Any]:
    """The fields that depend on the device, and those that silence TRL; the user's own win."""
    fields = {
        "activation_checkpointing": not on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "dataloader_num_workers": 0,
        "ddp_find_unused_parameters": False,
        "report_to": "none",
    }
    return fields | {"num_completions_to_print": 0} if samples(method) else fields


def _owned(folder: Path, seed: int, on_cpu: bool, autocast: str) -> dict[str, Any]:
    """The fields that perdure sets itself, over everything else."""
    return {
        "output_dir": str(folder),
        "seed": seed,
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "ddp_broadcast_buffers": False,  # else a loss that runs the model more often in one process would hang
        "use_cpu": on_cpu,
        "bf16": MIXED.get(autocast) == "bf16",
        "fp16": MIXED.get(autocast) == "fp16",
    }


def merge(method: Method, settings: Any, *, known: set[str]) -> dict[str, Any]:
    """The fields that the method's defaults, `settings.trl` and the typed settings add up to.

    Raises:
        ConfigError: a field under `trl` that is not known, not the user's, or given twice.
    """
    typed = {
        name: getattr(settings, name)
        for name in type(settings).model_fields
        if name not in PERDURE_FIELDS and getattr(settings, name) is not None
    }
    extra = dict(settings.trl)
    for key, value in extra.items():
        _check_field(method, key, known)
        if key in typed and typed[key] != value:
            raise ConfigError(
                f"train settings of `{method.name}`: {key} is {typed[key]!r} and, under trl, {value!r}; keep one"
            )
    for old in ("gradient_checkpointing", "gradient_checkpointing_kwargs"):
        if old in extra:
            extra[old.replace("gradient", "activation")] = extra.pop(old)
    values = {**method.objective.defaults, **extra, **typed}
    share = getattr(settings, "learning_rate_share", None)
    if share is not None and settings.learning_rate is None:
        values["learning_rate"] *= share
    if samples(method):
        values.setdefault("per_device_train_batch_size", PROMPTS_PER_STEP * values["num_generations"])
    return values


def _check_field(method: Method, key: str, known: set[str]) -> None:
    reason = (RESERVED_FIELDS | REFUSED_FIELDS).get(key)
    if reason is not None:
        raise ConfigError(f"train settings of `{method.name}`: trl.{key} cannot be set: {reason}")
    if key in PERDURE_FIELDS & set(method.objective.settings.model_fields):
        raise ConfigError(f"train settings of `{method.name}`: write trl.{key} as `{key}`, one level up")
    if key not in known:
        close = get_close_matches(key, sorted(known), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"train settings of `{method.name}`: {config_of(method)} of the installed TRL has no field {key!r}{hint}"
        )


def _check(config: Any) -> None:
    """Refuse what TRL would only refuse once it trains.

    Raises:
        ValueError, ImportError, RuntimeError: in TRL's words where it has some.
    """
    import torch
    from transformers import get_scheduler
    from transformers.integrations import get_reporting_integration_callbacks

    losses = fields_of(type(config).__name__)["loss_type"].choices
    if losses and config.loss_type not in losses:
        raise ValueError(f"loss_type {config.loss_type!r} is none of {', '.join(losses)}")
    if config.use_liger_kernel:
        import_module("liger_kernel")
    _check_optimizer(config)
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


TORCH_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "sgd", "adagrad", "rmsprop", "adafactor")
NEED_A_MODEL = ("galore", "apollo", "lomo", "adalomo")


def _check_optimizer(config: Any) -> None:
    """Refuse an optimiser whose package is missing, such as `adamw_8bit` without bitsandbytes; raises as `_check`."""
    name = str(config.optim.value)
    if name not in TORCH_OPTIMIZERS and not name.startswith(NEED_A_MODEL):
        from transformers import Trainer

        Trainer.get_optimizer_cls_and_kwargs(config)


def save_steps(settings: Any) -> int:
    """Optimiser steps between checkpoints."""
    return settings.save_steps or SAVE_STEPS
