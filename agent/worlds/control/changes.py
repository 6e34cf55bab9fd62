"""The changes that modifiers make to an update of any objective."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.batches import Batch
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.terms import Term
from perdure.curriculum.task import Item

OnBatch = Callable[[Batch, Tensor], Tensor]
"""A term on the decisions of the step, a scalar: by the batch, with the base's log-probabilities, and the policy's."""


def adamw(network: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """AdamW on all that is trained."""
    trained = [one for one in network.parameters() if one.requires_grad]
    return torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=plan.weight_decay)


@dataclass(frozen=True)
class Changes:
    """The changes of all modifiers of a method.

    Attributes:
        earlier: the items of earlier tasks that are replayed, as a share `replay_ratio` of each batch.
        on_batch: terms on the decisions of the step.
        terms: terms with gradients of their own.
        optimizer_clips: true if the optimiser clips the gradients of what it trains by itself.
    """

    earlier: tuple[Item, ...] = ()
    replay_ratio: float = 0.0
    on_batch: tuple[OnBatch, ...] = ()
    terms: tuple[Term, ...] = ()
    optimizer: Callable[[nn.Module, Plan], torch.optim.Optimizer] = adamw
    optimizer_clips: bool = False

    def with_term(self, term: Term) -> "Changes":
        """One term more."""
        return replace(self, terms=(*self.terms, term))


class Modifier(Protocol):
    """The module of a modifier."""

    modify: Callable[[UpdateJob, Any, ControlBase, Changes], Changes]
    """The changes with the modifier's own, by the job, the modifier's settings and the original base."""


def changes_of(job: UpdateJob, base: ControlBase) -> Changes:
    """The changes of all modifiers of a job."""
    changes = Changes()
    for spec in job.method.modifiers:
        module: Modifier = import_module(spec.code)
        changes = module.modify(job, job.settings.modifiers[spec.name], base, changes)
    return changes
