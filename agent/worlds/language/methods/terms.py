"""Terms beside a method's loss: each adds its gradient by a backward pass of its own, once an optimiser step.

They do not touch the method's loss, so any objective can have them. With gradient accumulation they are added with the
first batch of a step and count once. They draw no random numbers from the global generators, so a method samples and
shuffles as it does without them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.budget.errors import ConfigError
from perdure.budget.penalty import Controller

Backward = Callable[[Tensor], None]
"""Adds the gradient of a scalar to the parameters, scaled as the trainer's own."""

NUM_TEXTS = 8
"""Texts of the base in a step of a term whose settings name no number."""


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

    def __init__(self, loss: Any, weight: float) -> None:
        self._loss, self._weight = loss, weight

    def add(self, step: int, backward: Backward) -> Tensor:
        """See `Term.add`."""
        kl: Tensor = self._loss.backward(step, self._weight, backward)
        return self._weight * kl


class Penalty(Term):
    """`KlTerm` with a weight that a controller steers by the KL of each step's texts."""

    def __init__(self, loss: Any, controller: Controller) -> None:
        self._loss, self._controller = loss, controller
        self._kl: Tensor | None = None

    def add(self, step: int, backward: Backward) -> Tensor:
        """See `Term.add`."""
        weight = self._controller.weight
        self._kl = self._loss.backward(step, weight, backward)
        return weight * self._kl if weight else torch.zeros_like(self._kl)

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


def quadratic(parameter: Tensor, start: Tensor, fisher: Tensor | None) -> Tensor:
    """`sum_i F_i (θ_i - θ*_i)²` of one tensor in float32; F is 1 where it is not given. A scalar.

    Raises:
        ValueError: the shapes differ.
    """
    if any(one is not None and one.shape != parameter.shape for one in (start, fisher)):
        raise ValueError(f"start and Fisher information must have the parameter's shape {tuple(parameter.shape)}")
    moved = (parameter.float() - start.float()).square()
    return moved.sum() if fisher is None else (fisher * moved).sum()


class Terms:
    """The terms of one update; `weight` is the state that a checkpoint keeps."""

    def __init__(self, terms: Sequence[Term] = (), controller: Controller | None = None) -> None:
        self._terms = tuple(terms)
        self._controller = controller
        self._done = -1

    @property
    def weight(self) -> float | None:
        """The penalty's weight now; `None` without one."""
        return None if self._controller is None else self._controller.weight

    def put_back(self, weight: float | None) -> None:
        """Restore the weight from a checkpoint."""
        if self._controller is not None and weight is not None:
            self._controller.weight = weight

    def begin(self) -> None:
        """Begin every term."""
        for term in self._terms:
            term.begin()

    def add(self, trainer: Any) -> None:
        """Add every term's gradient and its part of the loss, once an optimiser step."""
        step = trainer.state.global_step
        if self._done == step:
            return
        self._done = step
        for term in self._terms:
            trainer.step_losses.add(term.add(step, trainer.accelerator.backward))

    def steer(self) -> None:
        """Steer every term after the optimiser's step."""
        for term in self._terms:
            term.steer()


def terms_of(job: UpdateJob, more: Sequence[Term] = ()) -> Terms:
    """The terms of an update: the budget's penalty, if there is one, and the modifiers' own.

    Raises:
        ConfigError: a penalty, and no texts of the base.
    """
    controller = job.controller
    if controller is None:
        return Terms(more)
    loss = kl_loss(job, seed=derive(job.seed, "penalty"), num_texts=controller.num_prompts)
    return Terms((Penalty(loss, controller), *more), controller)


def kl_loss(job: UpdateJob, *, seed: int, num_texts: int = NUM_TEXTS) -> Any:
    """KL(π0 ‖ π) with its gradient, on texts of the job's groups (see `base_loss.py`).

    Raises:
        ConfigError: there are no texts of the base.
    """
    if getattr(job.policy, "base", None) is None or not job.texts:
        raise ConfigError("a KL term needs texts of the base, and none were sampled for this stage")
    return job.policy.base.loss(job.texts, unit=job.unit, num_texts=num_texts, seed=seed)
