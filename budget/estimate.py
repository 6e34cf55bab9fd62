"""Estimates with standard errors from sampled texts: pure arithmetic, no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error (`None` below two samples per group) and the number of samples."""

    value: float
    stderr: float | None
    n: int

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value)


UNMEASURED = Estimate(math.nan, None, 0)
"""What was not measured."""


@dataclass(frozen=True)
class Group:
    """Measurements on the texts of one task: each text's sum over its positions, and its number of positions."""

    sums: tuple[float, ...]
    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.sums) != len(self.lengths) or not self.sums:
            raise ValueError(f"a group needs as many sums as lengths, and at least one: {self}")
        if min(self.lengths) < 1:
            raise ValueError("every text has at least one position")


def per_sequence(groups: Sequence[Group]) -> Estimate:
    """Mean over groups of the mean sum per text; groups weigh the same whatever their size.

    By the chain rule the sum of exact conditional KLs along texts sampled from the base is an unbiased estimate of the
    KL between the distributions of sequences (up to the sampled length).
    """
    means = [_mean(group.sums) for group in groups]
    return Estimate(_mean(means), _pooled_stderr([_stderr(group.sums) for group in groups]), _count(groups))


def per_token(groups: Sequence[Group]) -> Estimate:
    """Mean over groups of (all sums / all positions), in nats per token: a ratio estimate.

    The standard error is linearised for a ratio of means (Cochran, *Sampling Techniques*, 1977, section 6.3):
    `sqrt(sum_i (s_i - r l_i)^2 / (n (n - 1))) / mean(l)`.
    """
    ratios, errors = [], []
    for group in groups:
        ratio = sum(group.sums) / sum(group.lengths)
        residuals = [s - ratio * length for s, length in zip(group.sums, group.lengths, strict=True)]
        error = _stderr(residuals)
        ratios.append(ratio)
        errors.append(None if error is None else error / _mean(group.lengths))
    return Estimate(_mean(ratios), _pooled_stderr(errors), _count(groups))


def quantile_over_texts(groups: Sequence[Group], share: float) -> float:
    """The quantile over all texts of a text's mean over its positions; NaN if one of them is not finite."""
    means = sorted(total / length for group in groups for total, length in zip(group.sums, group.lengths, strict=True))
    if not all(map(math.isfinite, means)):
        return math.nan
    place = share * (len(means) - 1)
    below = math.floor(place)
    above = min(below + 1, len(means) - 1)
    return means[below] + (place - below) * (means[above] - means[below])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _stderr(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = _mean(values)
    return math.sqrt(sum((value - mean) * (value - mean) for value in values) / (len(values) * (len(values) - 1)))


def _pooled_stderr(errors: Sequence[float | None]) -> float | None:
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return None
    return math.sqrt(sum(error * error for error in known)) / len(known)


def _count(groups: Sequence[Group]) -> int:
    return sum(len(group.sums) for group in groups)
