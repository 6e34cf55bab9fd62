"""From `model_name_or_path` to a policy in memory."""

from typing import Any

import torch

from perdure.agent.seeds import seeded
from perdure.agent.worlds.checkpoints import add_adapter, merged_adapter
from perdure.agent.worlds.devices import choose_threads, device_of, has_bfloat16
from perdure.agent.worlds.language.adapter import layers_of
from perdure.agent.worlds.language.hub import has_file
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.precision import Precision, precision_of
from perdure.agent.worlds.language.pretrained import (
    checkpoint_of,
    load_tokenizer,
    load_weights,
    refuse_foreign_tokens,
    refuse_unusable,
)
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.eval.plain_template import PLAIN_TEMPLATE


def load_policy(config: CausalModel, *, seed: int) -> LanguagePolicy:
    """Load model and tokenizer; with LoRA, put one fresh adapter on it (its down-projection is drawn from `seed`).

    Raises:
        ModelError: nothing there, no tokenizer, no safetensors, weights or tokens that are not the model's, the hub
            out of reach, or a device that is missing.
    """
    layers = layers_of(config)
    tokenizer = load_tokenizer(next((one for one in layers if has_file(one, "tokenizer_config.json")), layers[-1]))
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_TEMPLATE
    model = load_base(config)
    refuse_foreign_tokens(config.model_name_or_path, tokenizer, model)
    precision = _precision(config, model.device)
    with precision.context(model.device):
        refuse_unusable(config.model_name_or_path, model)
    choose_threads(config.threads, model)
    if config.lora is not None:
        with seeded(seed):
            model = add_adapter(model, config.lora, "model.lora", task_type="CAUSAL_LM")
    return LanguagePolicy(model, tokenizer, precision.autocast)


def load_base(config: CausalModel) -> Any:
    """The base model alone, on its device, in evaluation mode. An adapter is merged into the base that it names.

    Raises:
        ModelError: as `load_policy`.
    """
    device = choose_device(config.device)
    *adapters, base = layers_of(config)
    model = load_weights(base, _precision(config, device).weights)
    for adapter in reversed(adapters):
        model = merged_adapter(model, checkpoint_of(adapter))
    return model.to(device).eval()


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU.

    Raises:
        ModelError: not a device, or one that this machine lacks.
    """
    return device_of(name, auto="cuda" if torch.cuda.is_available() else "cpu")


def _precision(config: CausalModel, device: torch.device) -> Precision:
    return precision_of(config, on_gpu=device.type != "cpu", has_bfloat16=has_bfloat16(device))
