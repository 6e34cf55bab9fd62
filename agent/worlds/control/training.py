"""Trains an actor on one task: an objective's loss, terms beside it, one optimiser."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol

import torch
from torch import Tensor, nn

from perdure.agent.worlds.contract import Progress, UpdateJob
from perdure.agent.worlds.control.actor import Actor
from perdure.agent.worlds.control.batches import Batch
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.agent.worlds.control.schedule import Plan, plan_for
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Item


@dataclass(frozen=True)
class Update:
    """All that an objective and its modifiers see.

    Attributes:
        base: the original base's actor, frozen.
        deal: the starts of a step's batch, by the number of the batch from 0.
    """

    policy: ControlPolicy
    base: Actor
    settings: Common
    plan: Plan
    seed: int
    deal: Callable[[int], list[Item]]

    @property
    def actor(self) -> Actor:
        """The policy's actor."""
        return self.policy.actor


class Objective(Protocol):
    """The module of an objective: these two functions."""

    def draw(self, update: Update, number: int) -> Batch:
        """The `number`-th batch, from 0; it is learned from for `num_iterations` steps."""
        ...

    def loss(self, update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
        """The loss of a batch, a scalar, by the policy's log-probabilities on its decisions now."""
        ...


Term = Callable[[int, Batch, Tensor], Tensor]
"""A term added to the loss, a scalar, by the step from 0, the batch, and the log-probabilities (N, D, B)."""

MakeOptimizer = Callable[[nn.Module, Plan], torch.optim.Optimizer]


def adamw(network: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """AdamW on all that is trained."""
    trained = [one for one in network.parameters() if one.requires_grad]
    return torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=plan.weight_decay)


@dataclass(frozen=True)
class Changes:
    """The changes that modifiers make."""

    terms: tuple[Term, ...] = ()
    optimizer: MakeOptimizer = field(default=adamw)


def descend(
    update: Update,
    objective: Objective,
    changes: Changes,
    iterations: int,
    after_step: Callable[[Progress], bool],
) -> tuple[int, bool]:
    """Train down the loss; `after_step` sees the weights as they are then, and ends it all by returning true.

    Returns the steps made, and true if it was ended so.
    """
    network, plan = update.actor.network, update.plan
    optimizer = changes.optimizer(network, plan)
    batch: Batch | None = None
    for step in range(plan.steps):
        if batch is None or step % iterations == 0:
            batch = objective.draw(update, step // iterations)
        log_NDB = update.actor.log_probabilities(batch.inputs, batch.actions_ND)
        loss = objective.loss(update, batch, log_NDB, step)
        for term in changes.terms:
            loss = loss + term(step, batch, log_NDB)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        rate = _step(network, optimizer, plan, step)
        if after_step(Progress(step + 1, plan.steps, float(loss.detach()), batch.reward, rate)):
            return step + 1, True
    return plan.steps, False


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan, step: int) -> float:
    if plan.max_grad_norm:
        nn.utils.clip_grad_norm_(network.parameters(), plan.max_grad_norm)
    rate = plan.rate(step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return rate


def train(job: UpdateJob, base: Actor, watch: Callable[[Progress], bool]) -> tuple[int, bool]:
    """The update of a job; see `descend`."""
    from perdure.agent.worlds.control.batches import dealt
    from perdure.agent.worlds.control.schedule import default

    settings = job.settings.objective
    plan = plan_for(job.method, settings, len(job.task.train))
    objective: Objective = import_module(job.method.objective.code)

    def deal(number: int) -> list[Item]:
        return dealt(job.task.train, plan.batch_size, job.seed, number)

    update = Update(job.policy, base, settings, plan, job.seed, deal)
    iterations = int(default(job.method.objective.name, settings, "num_iterations") or 1)
    return descend(update, objective, Changes(), iterations, watch)
