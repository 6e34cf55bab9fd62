"""Random draws of many models at once, each from a generator of its own.

What a model draws depends on its seed alone, not on which models are trained beside it.
Axes: M models, N or B images, G samples, C classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Rngs:
    """One generator a model."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._device = device

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1), shape (M, *shape)."""
        drawn = [torch.rand(shape, generator=generator) for generator in self._generators]
        return torch.stack(drawn).to(self._device)

    def orders(self, count: int) -> Tensor:
        """A permutation of 0 … count - 1 for each model: shape (M, count)."""
        drawn = [torch.randperm(count, generator=generator) for generator in self._generators]
        return torch.stack(drawn).to(self._device)

    def labels(self, probabilities_MNC: Tensor, samples: int) -> Tensor:
        """Classes drawn by inverting the distribution function: shape (M, N, samples).

        Of a distribution that all models share, shape (1, N, C), each model draws its own. Rows need not be normalised;
        rows that are NaN or without mass give some class or other.
        """
        upto_MNC = probabilities_MNC.cumsum(-1)
        level_MNG = self.uniform(probabilities_MNC.shape[1], samples) * upto_MNC[..., -1:]
        passed_MNGC = level_MNG[..., None] >= upto_MNC[:, :, None, :]
        return passed_MNGC.sum(-1).clamp_(max=probabilities_MNC.shape[-1] - 1)


def counts(labels_MNG: Tensor, classes: int) -> Tensor:
    """The number of draws of each class: shape (M, N, classes), as floats."""
    zeros_MNC = torch.zeros(*labels_MNG.shape[:2], classes, device=labels_MNG.device)
    return zeros_MNC.scatter_add_(-1, labels_MNG, torch.ones_like(labels_MNG, dtype=zeros_MNC.dtype))
