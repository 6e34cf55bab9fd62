"""The number formats of a language model: one for its weights, and one in which autocast computes."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from perdure.agent.worlds.checkpoints import DTYPES, choose_dtype
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.model import CausalModel

SLOW = 2.0
"""A product in bfloat16 that takes so many times as long as in float32 is worth a warning."""
SIDE = 512
"""Rows and columns of the matrices that are multiplied to find out."""


@dataclass(frozen=True)
class Precision:
    """`weights`: the dtype of the weights, with LoRA of the frozen ones; `autocast`: `None` where it is off.

    `quantization` is that of the linear layers (`4bit`, `8bit`); `weights` are then the others, and of its products.
    Texts, readings, scores and updates are all computed under the same.
    """

    weights: torch.dtype
    autocast: torch.dtype | None = None
    quantization: str | None = None

    @property
    def has_bfloat16(self) -> bool:
        """True where products are computed in it."""
        return torch.bfloat16 in (self.weights, self.autocast)

    @property
    def settings(self) -> str:
        """The part of `base_id`: `4bit and float32 weights, bfloat16 autocast`; empty for float32 throughout."""
        if self == Precision(torch.float32):
            return ""
        weights = f"{self.quantization} and " * bool(self.quantization) + f"{name_of(self.weights)} weights"
        return weights if self.autocast is None else f"{weights}, {name_of(self.autocast)} autocast"

    def context(self, device: torch.device) -> AbstractContextManager[object]:
        """Autocast as it is set, inside."""
        return nullcontext() if self.autocast is None else torch.autocast(device.type, dtype=self.autocast)


def name_of(dtype: torch.dtype) -> str:
    """`bfloat16`."""
    return str(dtype).removeprefix("torch.")


def precision_of(config: CausalModel, *, on_gpu: bool, has_bfloat16: bool) -> Precision:
    """The precision that a model asks for, on a GPU or a CPU that has instructions for bfloat16 or not.

    `auto` is float32 on a CPU. On a GPU with bfloat16 it is bfloat16 autocast over float32 weights, since bfloat16
    weights round small steps away, or over bfloat16 weights where they are frozen under an adapter (which is float32).

    Raises:
        ModelError: float16 autocast on a CPU, where TRL does not train in it.
    """
    if config.autocast == "float16" and not on_gpu:
        raise ModelError("model.autocast: float16 is for a GPU; use bfloat16, or none")
    has_bfloat16 = on_gpu and has_bfloat16
    weights = choose_dtype(config.dtype, has_bfloat16=has_bfloat16 and config.lora is not None)
    autocast = DTYPES.get(config.autocast)
    if config.autocast == "auto" and has_bfloat16 and config.dtype in ("auto", "bfloat16"):
        autocast = torch.bfloat16
    return Precision(weights, autocast, config.quantization)


def slow_bfloat16(bfloat16: float, float32: float) -> str | None:
    """A warning, if one product on a CPU takes so many seconds in each of the formats; `None`: there is no need."""
    if bfloat16 < SLOW * float32:
        return None
    times = bfloat16 / max(float32, 1e-9)
    return (
        f"this CPU multiplies in bfloat16 {times:.2g} times slower than in float32, and training, readings and scores "
        "with it; set `model.dtype: float32` and `model.autocast: none`"
    )


def seconds_of_product(dtype: torch.dtype) -> float:
    """Seconds of one product of two matrices on the CPU, with the threads that torch has now; the shorter of two."""
    matrix = torch.ones(SIDE, SIDE, dtype=dtype)
    seconds = []
    for _ in range(3):  # the first also loads the code
        begun = time.perf_counter()
        torch.mm(matrix, matrix)
        seconds.append(time.perf_counter() - begun)
    return min(seconds[1:])
