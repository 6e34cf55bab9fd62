"""The trend of a curve by a test, not by eye."""

import math
from collections.abc import Sequence

import numpy as np

from perdure.budget.significance import student

BLOCKS = 8
"""Means that the line is drawn through: neighbouring steps are alike, and means of blocks are less so."""
LEVEL = 0.95


def last_slope(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the slope of a curve's last half; `None` below 16 values there, or if one is not finite.

    The half is cut into eight blocks of equal length, the oldest values left over. The slope is that of the
    least-squares line through the blocks' means, in units of the curve a block, with Student's interval of six degrees
    of freedom.
    """
    half = values[len(values) // 2 :]
    size = len(half) // BLOCKS
    if size < 2 or not all(map(math.isfinite, half)):
        return None
    means = np.asarray(half[len(half) - size * BLOCKS :], dtype=float).reshape(BLOCKS, size).mean(1)
    place = np.arange(BLOCKS) - (BLOCKS - 1) / 2
    spread = float((place**2).sum())
    slope = float((place * means).sum()) / spread
    rest = means - means.mean() - slope * place
    return student(slope, math.sqrt(float((rest**2).sum()) / (BLOCKS - 2) / spread), BLOCKS - 2, LEVEL)
