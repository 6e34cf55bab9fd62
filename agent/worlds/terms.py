"""Terms beside an objective's loss, in every world: each adds its gradient by a backward pass of its own, once a step.

They do not touch the objective's loss, so any objective can have them. They draw no random numbers from the global
generators, so that a method samples and shuffles as it does without them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from perdure.budget.config import Unit
from perdure.budget.penalty import Controller

Backward = Callable[[Tensor], None]
"""Adds the gradient of a scalar to the parameters, scaled as the trainer's own."""


class BaseKl(Protocol):
    """KL(π0 ‖ π) as a loss, on a few texts (or episodes) of the base a step."""

    def backward(self, step: int, weight: float, backward: Backward) -> Tensor:
        """Add the gradient of `weight` · KL at `step`; at a weight of 0 there is none.

        Returns the KL itself, a detached scalar in nats. The texts of a step follow from it alone.
        """
        ...


class Term(ABC):
    """A term of the loss."""

    def begin(self) -> None:  # noqa: B027  (most terms do nothing here)
        """Called before the first step, with the weights that the stage began with, resumed or not."""

    @abstractmethod
    def add(self, step: int, backward: Backward) -> Tensor:
        """Add the term's gradient at `step`, 0 the first. Returns what the term adds to the loss, a detached scalar."""

    def steer(self) -> None:  # noqa: B027  (most terms have nothing to steer)
        """Called after the optimiser's step."""


class KlTerm(Term):
    """`weight` · KL(π0 ‖ π) on texts of the base."""

    def __init__(self, loss: BaseKl, weight: float) -> None:
        self._loss, self._weight = loss, weight

    def add(self, step: int, backward: Backward) -> Tensor:
        """See `Term.add`."""
        kl: Tensor = self._loss.backward(step, self._weight, backward)
        return self._weight * kl


class Penalty(Term):
    """`KlTerm` with a weight that a controller steers by the KL of each step's texts.

    Of several losses, as `budget.prompts: both` has two, each gets its gradient, and the largest KL steers.
    """

    def __init__(self, losses: Sequence[BaseKl], controller: Controller) -> None:
        self._losses, self._controller = losses, controller
        self._kl: Tensor | None = None

    def add(self, step: int, backward: Backward) -> Tensor:
        """See `Term.add`."""
        weight = self._controller.weight
        kls = torch.stack([one.backward(step, weight, backward) for one in self._losses])
        self._kl = kls.max()
        return weight * kls.sum() if weight else torch.zeros_like(self._kl)

    def steer(self) -> None:
        """See `Term.steer`."""
        if self._kl is not None:
            self._controller.steer(float(self._kl))


class Quadratic(Term):
    """`weight / 2 · sum_i F_i (θ_i - θ*_i)²` over the trained parameters; θ* are those that the stage began with.

    `importance` gives F by name when the stage begins; without it every F_i is 1. The parameters are
    handled one at a time, so that the term needs no memory beside F and θ*.
    """

    def __init__(
        self, model: nn.Module, weight: float, importance: Callable[[], dict[str, Tensor]] | None = None
    ) -> None:
        self._model, self._weight, self._importance = model, weight, importance
        self._start: dict[str, Tensor] = {}
        self._fisher: dict[str, Tensor] | None = None

    def begin(self) -> None:
        """See `Term.begin`."""
        trained = [(name, one) for name, one in self._model.named_parameters() if one.requires_grad]
        self._start = {name: one.detach().clone() for name, one in trained}
        self._fisher = self._importance() if self._importance else None

    def add(self, step: int, backward: Backward) -> Tensor:
        """See `Term.add`."""
        parts = []
        for name, parameter in self._model.named_parameters():
            if name in self._start:
                fisher = None if self._fisher is None else self._fisher[name]
                part = self._weight / 2 * quadratic(parameter, self._start[name], fisher)
                backward(part)
                parts.append(part.detach())
        return torch.stack(parts).sum()


class Protected(Term):
    """CPO: `weight` times the mean of |θ_i - θ*_i| over the protected weights; θ* are those that the stage began with.

    `importance` gives a figure of each weight by name when the stage begins. Of every tensor the share `protected` with
    the largest figures is protected, as far as they are above 0; of equal ones all.

    CPO (arXiv 2607.04364) penalises the L1 movement of the top 10 % of the weights at a weight of 100. Its text could
    not be had, only summaries: how it scores weights and what it divides by is chosen here. The score is the Fisher
    information that `ewc` takes, the share is one of each tensor, and the movement is a mean, so that the weight means
    the same whatever the size of the model.
    """

    def __init__(
        self, model: nn.Module, weight: float, protected: float, importance: Callable[[], dict[str, Tensor]]
    ) -> None:
        self._model, self._weight, self._protected, self._importance = model, weight, protected, importance
        self._masks: dict[str, Tensor] = {}
        self._starts: dict[str, Tensor] = {}

    def begin(self) -> None:
        """See `Term.begin`."""
        figures = self._importance()
        trained = {name: one for name, one in self._model.named_parameters() if one.requires_grad}
        self._masks = {name: most_important(figures.pop(name), self._protected) for name in trained}
        self._starts = {name: one.detach()[self._masks[name]].clone() for name, one in trained.items()}

    def add(self, step: int, backward: Backward) -> Tensor:
        """See `Term.add`."""
        count = max(1, sum(len(start) for start in self._starts.values()))
        parts = []
        for name, parameter in self._model.named_parameters():
            if name in self._starts and len(self._starts[name]):
                moved = parameter[self._masks[name]].float() - self._starts[name].float()
                part = self._weight / count * moved.abs().sum()
                backward(part)
                parts.append(part.detach())
        return torch.stack(parts).sum() if parts else torch.zeros(())


def most_important(figures: Tensor, share: float) -> Tensor:
    """True at the share of a tensor's figures that are the largest, one at least, as far as they are above 0."""
    count = min(figures.numel(), max(1, round(share * figures.numel())))
    least = figures.flatten().kthvalue(figures.numel() - count + 1).values
    return (figures >= least) & (figures > 0)


def quadratic(parameter: Tensor, start: Tensor, fisher: Tensor | None) -> Tensor:
    """`sum_i F_i (θ_i - θ*_i)²` of one tensor in float32; F is 1 where it is not given. A scalar.

    Raises:
        ValueError: the shapes differ.
    """
    if any(one is not None and one.shape != parameter.shape for one in (start, fisher)):
        raise ValueError(f"start and Fisher information must have the parameter's shape {tuple(parameter.shape)}")
    moved = (parameter.float() - start.float()).square()
    return moved.sum() if fisher is None else (fisher * moved).sum()


def row_weights(rows_GS: Sequence[Sequence[int]], unit: Unit) -> Tensor:
    """The weight of each row's KL, [R], so that the weighted sum is the KL in `unit`; G groups, S texts in each.

    A token: the mean over groups of all sums over all positions. A sequence: the mean over groups of the mean sum.
    """
    weights = []
    for rows_S in rows_GS:
        counts = sum(rows_S) if unit == "token" else len(rows_S)
        weights.append(torch.full((sum(rows_S),), 1 / (counts * len(rows_GS))))
    return torch.cat(weights)
