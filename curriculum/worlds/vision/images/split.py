"""The training images that the base is pretrained on; no task of the same data learns from them."""

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError

ORDER_SEED = 2509


def pretraining_rows(n_train: int, images: int) -> NDArray[np.int64]:
    """The first `images` rows of one fixed order of `n_train`: more images always include the fewer.

    Raises:
        DataError: there are not so many.
    """
    if images > n_train:
        raise DataError(f"model.pretrain.images is {images}, and of one kind there are {n_train}; ask for fewer")
    return fixed_order(n_train)[:images]


def fixed_order(count: int) -> NDArray[np.int64]:
    """0 … count - 1 in an order that is always the same (numpy keeps the streams of `RandomState`)."""
    return np.random.RandomState(ORDER_SEED).permutation(count).astype(np.int64)
