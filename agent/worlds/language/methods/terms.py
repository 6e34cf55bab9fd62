"""Terms beside a method's loss: each adds its gradient by a backward pass of its own, once an optimiser step.

They do not touch the method's loss, so any objective can have them. With gradient accumulation they are added with the
first batch of a step and count once. They draw no random numbers from the global generators, so a method samples and
shuffles as it does without them.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.base_prompts import TERM, sides
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.terms import Penalty, Term
from perdure.budget.errors import ConfigError
from perdure.budget.monitor import GENERIC
from perdure.budget.penalty import Controller
from perdure.curriculum.settings import TextSettings

NUM_TEXTS = 8
"""Texts of the base in a step of a term whose settings name no number."""


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

    def add(self, trainer: Any) -> list[Tensor]:
        """Add every term's gradient, once an optimiser step, and give each one's part of the loss."""
        step = trainer.state.global_step
        if self._done == step:
            return []
        self._done = step
        return [term.add(step, trainer.accelerator.backward) for term in self._terms]

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
    seed, count = derive(job.seed, "penalty"), controller.num_prompts
    losses = [kl_loss(job, seed=seed, num_texts=count, groups=some) for some in sides(job.texts) or [()]]
    return Terms((Penalty(losses, controller), *more), controller)


def groups_of(job: UpdateJob, settings: TextSettings) -> tuple[str, ...]:
    """The groups of texts of the base on which the term of a modifier is taken."""
    return (TERM + GENERIC,) if settings.prompts == "generic" else job.texts


def kl_loss(job: UpdateJob, *, seed: int, num_texts: int = NUM_TEXTS, groups: Sequence[str] | None = None) -> Any:
    """KL(π0 ‖ π) with its gradient, on texts of these groups, by default all of the job's (see `base_loss.py`).

    Raises:
        ConfigError: there are no texts of the base.
    """
    groups = job.texts if groups is None else groups
    if getattr(job.policy, "base", None) is None or not groups:
        raise ConfigError("a KL term needs texts of the base, and none were sampled for this stage")
    return job.policy.base.loss(groups, unit=job.unit, num_texts=num_texts, seed=seed)
