"""The frozen base of an adapter in 4 or 8 bits, by bitsandbytes.

4 bits are NF4 (QLoRA, arXiv 2305.14314) without its second quantization, which is TRL's default; 8 bits are LLM.int8
(arXiv 2208.07339). Embeddings, norms and the output head stay as they are. Departure: the adapter stays in float32,
where TRL rounds it to bfloat16.
"""

import logging
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from perdure.agent.weights import trainable
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.machine import BITSANDBYTES


def config_of(kind: str, compute: torch.dtype) -> Any:
    """Transformers' configuration of `4bit` or `8bit`; `compute`: the dtype of 4-bit layers' products.

    Raises:
        ModelError: bitsandbytes is not installed.
    """
    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise ModelError(f"model.quantization: {kind} needs {BITSANDBYTES}, or leave `quantization` out")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns at every layer of every pass
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)


def keep_plain(model: Any) -> None:
    """Keep 4-bit layers on a CPU as they are packed now.

    With instructions for bfloat16 bitsandbytes packs them anew at the first pass without a gradient, in place, rounds
    otherwise in it than in training, and fails on widths that are no multiple of 32.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def quantization_of(model: Any) -> str | None:
    """`4bit`, `8bit`, or `None` for whole weights."""
    for kind in ("4bit", "8bit"):
        if getattr(model, f"is_loaded_in_{kind}", False):
            return kind
    return None


def all_frozen(model: Any) -> dict[str, Tensor]:
    """All tensors of a quantized model that no update changes, the scales of its blocks or rows among them."""
    trained = trainable(model)
    return {name: tensor for name, tensor in model.state_dict().items() if name not in trained}
