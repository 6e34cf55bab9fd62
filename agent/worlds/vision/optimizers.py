"""AdamW for a stack of models with learning rates of their own. Axes: M models, F inputs, H units, R rank."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.vision.mlp import Params, matrices, member
from perdure.agent.worlds.vision.rngs import Rngs


class Optimizer(Protocol):
    """Changes a stack in place. `leaves` are what the loss is computed from."""

    @property
    def leaves(self) -> Params: ...

    @property
    def norm_M(self) -> Tensor | None:
        """The norm of each model's last gradient, where gradients are clipped: before that."""
        ...

    def step(self, loss_M: Tensor, step: int) -> tuple[float, ...]:
        """One step down the gradient of each model's own loss; the learning rates that were taken."""
        ...


class WholeWeights:
    """Trains every weight."""

    def __init__(self, stacked: Params, plans: Sequence[Plan]) -> None:
        self.leaves = {name: tensor.requires_grad_() for name, tensor in stacked.items()}
        self._adam = _Adam({name: tensor.detach() for name, tensor in stacked.items()}, plans)

    @property
    def norm_M(self) -> Tensor | None:
        """See `Optimizer.norm_M`."""
        return self._adam.norm_M

    def step(self, loss_M: Tensor, step: int) -> tuple[float, ...]:
        """See `Optimizer.step`."""
        return self._adam.step(_gradients(loss_M, self.leaves), step)


class LowRankAdam:
    """Trains an update of rank R of every weight matrix: `W = W0 + scale · A B` (LoRA, arXiv 2106.09685).

    A (F, R) begins uniform within 1/sqrt(F), B (R, H) at zero. The loss is computed from W itself, so that whatever is
    added to it needs to know nothing of A and B; their gradients follow from W's by the chain rule, `scale · G Bᵀ` and
    `scale · Aᵀ G`. Biases stay as they are. Clipping and weight decay act on A and B.
    """

    def __init__(self, stacked: Params, plans: Sequence[Plan], rngs: Rngs, rank: int, scale: float) -> None:
        self.leaves = {name: stacked[name].requires_grad_() for name in stacked}
        self._scale = scale
        self._start = {name: tensor.detach().clone() for name, tensor in matrices(stacked).items()}
        self.factors: Params = {}
        for name, tensor_MFH in self._start.items():
            models, features, units = tensor_MFH.shape
            self.factors[f"{name}.A"] = (rngs.uniform(features, rank) * 2 - 1) / math.sqrt(features)
            self.factors[f"{name}.B"] = torch.zeros(models, rank, units, device=tensor_MFH.device)
        self._adam = _Adam(self.factors, plans)

    @property
    def norm_M(self) -> Tensor | None:
        """See `Optimizer.norm_M`."""
        return self._adam.norm_M

    def step(self, loss_M: Tensor, step: int) -> tuple[float, ...]:
        """See `Optimizer.step`."""
        found: Params = {}
        gradients = _gradients(loss_M, {name: self.leaves[name] for name in self._start})
        for name, gradient_MFH in gradients.items():
            a_MFR, b_MRH = self.factors[f"{name}.A"], self.factors[f"{name}.B"]
            found[f"{name}.A"] = self._scale * gradient_MFH @ b_MRH.mT
            found[f"{name}.B"] = self._scale * a_MFR.mT @ gradient_MFH
        rates = self._adam.step(found, step)
        with torch.no_grad():
            for name, start_MFH in self._start.items():
                a_MFR, b_MRH = self.factors[f"{name}.A"], self.factors[f"{name}.B"]
                self.leaves[name].copy_(torch.baddbmm(start_MFH, a_MFR, b_MRH, alpha=self._scale))
        return rates


class _Adam:
    """torch's AdamW over the slices of a stack, each model with a learning rate of its own.

    The slices share memory with the stack, and so do their gradients, so nothing is copied. It is AdamW as a function:
    making a `torch.optim.AdamW` imports torch's compiler and sympy, which takes seconds.
    """

    def __init__(self, trained: Params, plans: Sequence[Plan]) -> None:
        self._plans = plans
        self.norm_M: Tensor | None = None
        self._models = [_Moments(member(trained, index)) for index in range(len(plans))]

    def step(self, gradients: Params, step: int) -> tuple[float, ...]:
        """One step along each model's own gradients; the learning rates that were taken."""
        if self._plans[0].max_grad_norm:
            self.norm_M = _clip(gradients, self._plans[0].max_grad_norm)
        rates = tuple(plan.rate(step) for plan in self._plans)
        for index, (model, rate) in enumerate(zip(self._models, rates, strict=True)):
            own = {name: gradient[index] for name, gradient in gradients.items()}
            model.step(own, rate, self._plans[0].weight_decay)
        return rates


class _Moments:
    """The weights of one model, and AdamW's averages of their gradients."""

    def __init__(self, weights: Params) -> None:
        self._weights = weights
        self._means = [torch.zeros_like(one) for one in weights.values()]
        self._squares = [torch.zeros_like(one) for one in weights.values()]
        self._steps = [torch.zeros((), device=one.device) for one in weights.values()]

    @torch.no_grad()
    def step(self, gradients: Params, rate: float, weight_decay: float) -> None:
        """One step, with the other settings as torch has them by default."""
        adamw(
            list(self._weights.values()),
            [gradients[name] for name in self._weights],
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=weight_decay,
            eps=1e-8,
            maximize=False,
        )


def _gradients(loss_M: Tensor, leaves: Params) -> Params:
    """The gradient of each model's own loss: no loss depends on another model."""
    found = torch.autograd.grad(loss_M.sum(), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def _clip(gradients: Params, most: float) -> Tensor:
    """Scale each model's gradient to a norm of at most `most`, in place. Returns the norms before."""
    squares_M = sum(gradient.flatten(1).square().sum(1) for gradient in gradients.values())
    norm_M = torch.as_tensor(squares_M).sqrt()
    scale_M = (most / (norm_M + 1e-6)).clamp(max=1)
    for gradient in gradients.values():
        gradient.mul_(scale_M.view(-1, *[1] * (gradient.dim() - 1)))
    return norm_M
