"""Arrays for a network, of the items of an image task. Axes: N items, F = 785 features, C = 10 classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.vision.images.observation import ImageObservation, inputs_of_observations
from perdure.curriculum.worlds.vision.images.rules import NUM_CLASSES, ORACLE


@dataclass(frozen=True)
class Arrays:
    """The items of a task, in order.

    `inputs_NF` holds pixels from 0 to 1 and the bit last; `correct_NC` which labels are right; `labels_N` the true
    class; `choices_NC` the distribution that the writer draws a demonstration from, `None` if that is the oracle's,
    which depends on the base, or if there is no writer (`writes` is false).
    """

    inputs_NF: NDArray[np.float32]
    correct_NC: NDArray[np.bool_]
    labels_N: NDArray[np.int64]
    choices_NC: NDArray[np.float32] | None
    writes: bool


def arrays_of(items: Sequence[Item]) -> Arrays:
    """The arrays of items that an image source made.

    Raises:
        DataError: items of another kind, or items of several writers.
    """
    if not items or not all(isinstance(item.prompt, ImageObservation) for item in items):
        raise DataError("the vision world learns from images: the task's `type` must be `images`")
    writers = [item.columns.get("writer") for item in items]
    kinds = {type(writer) for writer in writers}
    if len(kinds) > 1:
        raise DataError("the items of one task have demonstrations by several kinds of writers")
    correct_NC = _table([item.columns["correct"] for item in items])
    choices_NC = None
    if kinds == {list}:
        drawn_NC = _table([writer for writer in writers if writer is not None])
        choices_NC = (drawn_NC / drawn_NC.sum(1, keepdims=True)).astype(np.float32)
    return Arrays(
        inputs_NF=inputs_of_observations([item.prompt for item in items]),
        correct_NC=correct_NC,
        labels_N=np.fromiter((item.columns["label"] for item in items), np.int64, len(items)),
        choices_NC=choices_NC,
        writes=choices_NC is not None or writers[0] == ORACLE,
    )


def _table(rows: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """True at the labels of each row: shape (N, C)."""
    flat = [number * NUM_CLASSES + label for number, row in enumerate(rows) for label in row]
    table_NC = np.zeros(len(rows) * NUM_CLASSES, np.bool_)
    table_NC[flat] = True
    return table_NC.reshape(-1, NUM_CLASSES)
