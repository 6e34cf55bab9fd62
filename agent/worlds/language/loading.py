"""From `model_name_or_path` to a policy in memory."""

import os
import warnings
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
from perdure.agent.worlds.language.quantization import config_of, keep_plain
from perdure.budget import ranks
from perdure.budget.errors import ModelError
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
        with seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's, over a quantized base
            model = add_adapter(model, config.lora, "model.lora", task_type="CAUSAL_LM")
    return LanguagePolicy(model, tokenizer, precision.autocast, prefix_caching=config.prefix_caching)


def load_base(config: CausalModel) -> Any:
    """The base model alone, on its device, in evaluation mode. An adapter is merged into the base that it names.

    Raises:
        ModelError: as `load_policy`.
    """
    device = choose_device(config.device)
    *adapters, base = layers_of(config)
    precision = _precision(config, device)
    if adapters and config.quantization is not None:
        raise ModelError(
            f"model.quantization: {config.model_name_or_path!r} is an adapter, and merging it into a quantized base "
            "would round it away; merge it into whole weights first (perdure export --merge), or leave "
            "`quantization` out"
        )
    model = load_weights(base, precision.weights, **_how(config, precision, device))
    for adapter in reversed(adapters):
        model = merged_adapter(model, checkpoint_of(adapter))
    if precision.quantization is not None and device.type == "cpu":
        keep_plain(model)
    refuse_offloaded(config, model)
    placed = config.quantization is not None or config.device_map is not None
    return (model if placed else model.to(device)).eval()


def _how(config: CausalModel, precision: Precision, device: torch.device) -> dict[str, Any]:
    """The arguments of `from_pretrained` beside the files and the dtype."""
    more: dict[str, Any] = {}
    if config.attn_implementation is not None:
        more["attn_implementation"] = config.attn_implementation
    if config.quantization is not None:
        more["quantization_config"] = config_of(config.quantization, precision.autocast or precision.weights)
        more["device_map"] = {"": str(device)}
    if config.device_map is not None:
        if not torch.cuda.is_available():
            raise ModelError("model.device_map: `auto` spreads a model over GPUs, and torch sees none; leave it out")
        if ranks.count() > 1:
            raise ModelError(
                f"model.device_map: `auto` spreads a model over all GPUs, and each of {ranks.count()} processes trains "
                "a whole one on a GPU of its own; leave device_map out, or start one process"
            )
        more["device_map"] = config.device_map
    return more


def refuse_offloaded(config: CausalModel, model: Any) -> None:
    """Refuse a device map that leaves layers to the CPU or the disk, from where they cannot be trained.

    Raises:
        ModelError: names how many.
    """
    places = list(getattr(model, "hf_device_map", {}).values()) if config.device_map is not None else []
    left = sum(str(place) in ("cpu", "disk") for place in places)
    if left:
        raise ModelError(
            f"model.device_map: the GPUs have no room for {left} of {len(places)} parts of {config.title}; use more "
            "GPUs, `dtype: bfloat16`, or `quantization: 4bit` with `lora`"
        )


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU. Of several processes each has a GPU of its own.

    Raises:
        ModelError: not a device, one that this machine lacks, or one GPU for several processes.
    """
    device = device_of(name, auto="cuda" if torch.cuda.is_available() else "cpu")
    if device.type != "cuda" or ranks.count() == 1:
        return device
    local, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if device.index is not None:
        raise ModelError(f"model.device: {name!r} is one GPU, for {ranks.count()} processes; use auto or cuda")
    if local >= gpus:
        raise ModelError(
            f"process {ranks.rank()} has no GPU: this machine shows {gpus}; start as many processes on it, or use "
            "model.device: cpu"
        )
    return torch.device("cuda", local)


def _precision(config: CausalModel, device: torch.device) -> Precision:
    return precision_of(config, on_gpu=device.type != "cpu", has_bfloat16=has_bfloat16(device))
