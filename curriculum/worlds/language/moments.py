"""Bytes of the moments that an optimiser of transformers keeps, by its name."""

import math
from typing import Any

from perdure.curriculum.worlds.methods import Sizes

COUNTS = {
    "ademamix": 3,
    "lion": 1,
    "rmsprop": 1,
    "adagrad": 1,
    "schedule_free_sgd": 1,
    "sgd": 0,
    "adafactor": 0,
    "lomo": 0,
}
"""Moments a weight, by a word of the optimiser's name; others have AdamW's two.

Adafactor and AdaLomo keep a figure a row and a column, which is not counted.
"""
FLOAT32_BY_NAME = ("32bit", "ademamix", "rmsprop_bnb")
"""Words in the names of those whose moments are float32; others have the weights' type, or `COARSE`."""
COARSE = {"8bit": (8, 256), "4bit": (4, 128)}
"""By a word of the name, the bits of a moment, and how many share a scale, a float32."""


def moments(settings: Any, sizes: Sizes) -> int:
    """The bytes of all moments, by the objective's settings and the policy's sizes.

    An 8-bit optimiser of bitsandbytes keeps a byte a moment and a scale a block, but float32 for tables of embeddings
    and tensors of fewer than 4096 weights (`Sizes.exact_moments`). torchao's, which take tables too, are counted alike.
    """
    name = str(settings.trl.get("optim") or "")
    count = next((number for word, number in COUNTS.items() if word in name), 2)
    if name == "sgd" and "momentum" in str(settings.trl.get("optim_args")):
        count = 1
    bits, block = next((found for word, found in COARSE.items() if word in name), (0, 0))
    if not bits:
        return count * (sizes.trained_float32 if any(word in name for word in FLOAT32_BY_NAME) else sizes.trained)
    exact = sizes.exact_moments // sizes.element
    coarse = sizes.trained // sizes.element - exact
    return count * (exact * 4 + math.ceil(coarse * bits / 8) + math.ceil(coarse / block) * 4)
