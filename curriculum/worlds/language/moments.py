"""Bytes of the moments that an optimiser of transformers keeps, by its name."""

import math
from typing import Any

from perdure.curriculum.worlds.methods import Sizes

COUNTS = {"ademamix": 3, "lion": 1, "rmsprop": 1, "adagrad": 1, "sgd": 0}
"""Moments a weight, by a word of the optimiser's name; others have AdamW's two."""
FLOAT32_BY_NAME = ("32bit", "8bit", "ademamix", "rmsprop_bnb")
"""Words in the names of those whose moments are float32 where they are not a byte; others have the weights' type."""
BLOCK = 256
"""Moments of 8 bits that share a scale, a float32."""


def moments(settings: Any, sizes: Sizes) -> int:
    """The bytes of all moments, by the objective's settings and the policy's sizes.

    An 8-bit optimiser of bitsandbytes keeps a byte a moment and a scale a block, but float32 for tables of embeddings
    and tensors of fewer than 4096 weights (`Sizes.exact_moments`). torchao's, which take tables too, are counted alike.
    """
    name = str(settings.trl.get("optim") or "")
    count = next((number for word, number in COUNTS.items() if word in name), 2)
    if name == "sgd" and "momentum" in str(settings.trl.get("optim_args")):
        count = 1
    if "8bit" not in name:
        return count * (sizes.trained_float32 if any(word in name for word in FLOAT32_BY_NAME) else sizes.trained)
    exact = sizes.exact_moments // sizes.element
    coarse = sizes.trained // sizes.element - exact
    return count * (exact * 4 + coarse + math.ceil(coarse / BLOCK) * 4)
