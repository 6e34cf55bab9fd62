"""From `policy.model_name_or_path` to a VLA in memory."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from perdure.agent.worlds.checkpoints import (
    Checkpoint,
    add_adapter,
    choose_dtype,
    load_checkpoint,
    merged_adapter,
    unreadable,
)
from perdure.agent.worlds.devices import has_bfloat16
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.control.vla import Vla

PLACE = "model.policy.model_name_or_path"
VISION = ("vision_tower", "vision_model", "vision_backbone")
"""Parts of the names of a vision tower's parameters."""


def load_vla(config: Vla, device: torch.device) -> tuple[nn.Module, Any]:
    """The model, in evaluation mode, with an adapter over it where `lora` says so, and its processor.

    A fresh adapter is drawn from torch's generator.

    Raises:
        ModelError: nothing there, no processor, no safetensors, weights that are not the model's, or no image model.
    """
    files = checkpoint_of(config)
    processor = load_processor(files)
    network = _whole(files, dtype_of(config, has_bfloat16=has_bfloat16(device))).to(device).eval()
    if config.lora is not None:
        without = f".*({'|'.join(VISION)}).*" if config.freeze_vision else None
        return add_adapter(network, config.lora, "model.policy.lora", without=without), processor
    if config.freeze_vision:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(not any(part in name for part in VISION))
    return network, processor


def dtype_of(config: Vla, *, has_bfloat16: bool) -> torch.dtype:
    """The type of the weights; small steps are lost in whole weights of bfloat16, and not in an adapter over them."""
    return choose_dtype(config.dtype, has_bfloat16=has_bfloat16 and config.lora is not None)


def checkpoint_of(config: Vla) -> Checkpoint:
    """The files of a VLA."""
    return Checkpoint(
        config.model_name_or_path,
        config.model_name_or_path,
        config.revision,
        place=PLACE,
        kind="image-text-to-text model",
        hint="the path of a local folder (config.json, model.safetensors, tokenizer.json, processor_config.json)",
    )


def load_processor(files: Checkpoint) -> Any:
    """The processor of images and prompts; images are processed by Pillow, torchvision is not asked for.

    Raises:
        ModelError: there is none, or it processes no images.
    """
    try:
        found = AutoProcessor.from_pretrained(files.folder, **files.files, backend="pil")
    except Exception as error:  # whatever transformers raises, it is about the files
        raise unreadable(files, error, "processor") from error
    if not hasattr(found, "image_processor"):
        raise ModelError(f"{PLACE}: {files.name!r} has no processor of images; save the model's processor beside it")
    return found


def _whole(files: Checkpoint, dtype: torch.dtype) -> Any:
    """The model of a folder; an adapter merged into the base that it names."""
    adapter = Path(files.folder) / "adapter_config.json"
    if not adapter.is_file():
        return load_checkpoint(AutoModelForImageTextToText, files, dtype)
    base = json.loads(adapter.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not isinstance(base, str) or not (Path(base) / "config.json").is_file():
        raise ModelError(
            f"{PLACE}: {files.name!r} is an adapter over {base!r}, which is no folder with a whole model here; write "
            f"the folder of its base as base_model_name_or_path into {adapter}"
        )
    whole = load_checkpoint(AutoModelForImageTextToText, replace(files, name=base, folder=base), dtype)
    return merged_adapter(whole, files)
