"""Bytes that modifiers keep beside the weights, by their settings and the policy's sizes."""

from perdure.curriculum.settings import Ewc, LowRank
from perdure.curriculum.worlds.contract import Sizes


def anchors(settings: object, sizes: Sizes) -> int:
    """The trained weights as the stage began with them."""
    return sizes.trained


def anchors_and_fisher(settings: Ewc, sizes: Sizes) -> int:
    """The same, and their Fisher information in float32."""
    return sizes.trained + sizes.trained_float32


def low_rank_factors(settings: LowRank, sizes: Sizes) -> int:
    """The two factors of every matrix, in float32."""
    return sizes.per_rank * settings.r


def low_rank_copies(settings: LowRank, sizes: Sizes) -> int:
    """The matrices as the stage began with them, and the factors."""
    return sizes.matrices + low_rank_factors(settings, sizes)
