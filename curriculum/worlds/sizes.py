"""Bytes that modifiers keep beside the weights, by their settings and the policy's sizes."""

import math

from perdure.curriculum.settings import Cpo, Ewc, LowRank
from perdure.curriculum.worlds.methods import Sizes


def anchors(settings: object, sizes: Sizes) -> int:
    """The trained weights at the start of the stage."""
    return sizes.trained


def anchors_and_fisher(settings: Ewc, sizes: Sizes) -> int:
    """The trained weights at the start of the stage, and their Fisher information in float32."""
    return sizes.trained + sizes.trained_float32


def protected_copies(settings: Cpo, sizes: Sizes) -> int:
    """The protected weights at the start of the stage, and a byte for each weight that says whether it is one."""
    return math.ceil(settings.protected * sizes.trained) + sizes.trained_float32 // 4


def low_rank_factors(settings: LowRank, sizes: Sizes) -> int:
    """The two factors of every matrix, in float32."""
    return sizes.per_rank * settings.r


def low_rank_copies(settings: LowRank, sizes: Sizes) -> int:
    """The matrices at the start of the stage, and the factors."""
    return sizes.matrices + low_rank_factors(settings, sizes)
