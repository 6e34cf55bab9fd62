"""AdamW on two factors of every weight matrix's update: the optimiser of `low_rank`.

W = W0 + (alpha / r) B A, with A (r, in) and B (out, r). After each backward pass the gradient G of W (out, in) is taken
into the factors by the chain rule, dL/dB = s G Aᵀ and dL/dA = s Bᵀ G with s = alpha / r; AdamW steps on A and B; and W
is written back.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class LowRankAdamW(torch.optim.AdamW):
    """Trains `matrices` and nothing else. Its state holds the factors; W0 are the matrices as they are now.

    The factors are float32 whatever the matrices are, as peft's are. A is drawn as peft draws it (uniform within
    ±1/√in), matrix by matrix from the seed; B is 0, so that W begins at W0.

    Args:
        matrices: the weights W by name, each (out, in).
        max_grad_norm: the factors' gradients are clipped to this norm, all together; 0 for none.
        options: further arguments of AdamW.
    """

    def __init__(
        self,
        matrices: Mapping[str, Tensor],
        *,
        rank: int,
        alpha: float,
        max_grad_norm: float,
        seed: int,
        **options: Any,
    ) -> None:
        self._matrices = list(matrices.values())
        self._start = [matrix.detach().clone() for matrix in self._matrices]
        self._scale, self._max_grad_norm = alpha / rank, max_grad_norm
        generator = torch.Generator().manual_seed(seed)
        self._down = [_drawn(matrix, rank, generator) for matrix in self._matrices]
        self._up = [nn.Parameter(matrix.new_zeros(len(matrix), rank, dtype=torch.float32)) for matrix in self._matrices]
        super().__init__([*self._down, *self._up], **options)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step on the factors, from the matrices' gradients."""
        assert closure is None, "the gradients are there already"
        for matrix, down, up in zip(self._matrices, self._down, self._up, strict=True):
            if matrix.grad is not None:
                down.grad, up.grad = factor_gradients(matrix.grad, down, up, self._scale)
        if self._max_grad_norm:
            nn.utils.clip_grad_norm_([*self._down, *self._up], self._max_grad_norm)
        super().step()
        for matrix, start, down, up in zip(self._matrices, self._start, self._down, self._up, strict=True):
            matrix.copy_(start.float() + self._scale * (up @ down))

    def state_dict(self) -> dict[str, Any]:
        """AdamW's, and the factors."""
        factors = [factor.detach() for factor in (*self._down, *self._up)]
        return super().state_dict() | {"factors": factors}

    @torch.no_grad()
    def load_state_dict(self, state_dict: Any) -> None:
        """Take back what `state_dict` gave; the matrices must have been put back as well."""
        for factor, kept in zip((*self._down, *self._up), state_dict["factors"], strict=True):
            factor.copy_(kept)
        super().load_state_dict({name: state_dict[name] for name in ("state", "param_groups")})


def factor_gradients(gradient: Tensor, down: Tensor, up: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """dL/dA (r, in) and dL/dB (out, r) from dL/dW (out, in), where W = W0 + scale · B A.

    Raises:
        ValueError: the shapes do not go together.
    """
    if gradient.shape != (up.shape[0], down.shape[1]) or up.shape[1] != down.shape[0]:
        raise ValueError(f"no product of {tuple(up.shape)} and {tuple(down.shape)} has shape {tuple(gradient.shape)}")
    return scale * up.T @ gradient.float(), scale * gradient.float() @ down.T


def _drawn(matrix: Tensor, rank: int, generator: torch.Generator) -> nn.Parameter:
    down = torch.empty(rank, matrix.shape[1])
    nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
    return nn.Parameter(down.to(matrix.device))
