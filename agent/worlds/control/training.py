"""Trains an actor on one task: an objective's loss, terms beside it, one optimiser."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from perdure.agent.run.events import Notice
from perdure.agent.worlds.contract import Outcome, Progress, SaveAndStop, UpdateJob, Watch
from perdure.agent.worlds.control.actor import Actor, in_chunks
from perdure.agent.worlds.control.batches import Batch, deals, failed_demonstrations
from perdure.agent.worlds.control.changes import Changes, changes_of
from perdure.agent.worlds.control.checkpoint import Checkpoints
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.losses import entropy
from perdure.agent.worlds.schedule import LARGEST_RATE, Plan, default, plan_for
from perdure.agent.worlds.terms import Term
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Item

StepFigures = dict[str, float | None]
"""StepFigures of a step, by the names of `Progress`."""


@dataclass(frozen=True)
class Update:
    """All that an objective sees.

    Attributes:
        objective: its name, of which the defaults are.
        base: the original base's actor, frozen.
        counts: groups of episodes from which nothing was learned, and of how many, by the name of the notice.
    """

    objective: str
    policy: ControlPolicy
    base: Actor
    settings: Common
    plan: Plan
    seed: int
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """The policy's actor."""
        return self.policy.actor

    def setting(self, name: str) -> Any:
        """A setting of the objective, or what it does without it."""
        return default("control", self.objective, self.settings, name)

    def count(self, notice: Notice, idle_P: Tensor) -> None:
        """Note episodes or groups of them, true where nothing was learned from one."""
        count, of = self.counts.get(notice, (0, 0))
        self.counts[notice] = count + int(idle_P.sum()), of + len(idle_P)

    def compared(self, batch: Batch) -> Batch:
        """The batch with the base's log-probabilities."""
        if not len(batch) or (batch.base_log_NDB is not None and len(batch.base_log_NDB) == len(batch)):
            return batch
        log_NDB = in_chunks(self.base.log_probabilities, batch.inputs, batch.actions_ND)
        return replace(batch, base_log_NDB=log_NDB)


class Objective(Protocol):
    """The module of an objective: these two functions."""

    def draw(self, update: Update, items: Sequence[Item], number: int) -> Batch:
        """The `number`-th batch, from 0, of these items; it is learned from for `num_iterations` steps."""
        ...

    def loss(self, update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
        """The loss of a batch, a scalar, by the policy's log-probabilities on its decisions now."""
        ...


def train(job: UpdateJob, base: ControlBase, terms: Sequence[Term]) -> Outcome:
    """The update of a job, with terms beside those of its modifiers; it goes on from a checkpoint in the job's folder.

    Raises:
        DataError: no episode of a batch came to a first decision.
        DiskFullError: no room for a checkpoint.
        SaveAndStop: the watch raised it.
    """
    settings = job.settings.objective
    plan = plan_for(job.method, settings, len(job.task.train))
    update = Update(job.method.objective.name, job.policy, base.actor, settings, plan, job.seed)
    changes = changes_of(job, base)
    items = deals(job.task.train, plan.batch_size, job.seed, changes.earlier, changes.replay_ratio)
    changes = replace(changes, terms=(*changes.terms, *terms))
    optimizer = changes.optimizer(update.actor.network, plan)
    for term in changes.terms:
        term.begin()
    every, folder = int(update.setting("save_steps")), job.folder / "checkpoints"
    saved = Checkpoints(folder, every, job.policy, optimizer, job.controller, update.counts, job.saving)
    objective: Objective = import_module(job.method.objective.code)
    steps, stopped = descend(update, objective, changes, items, saved, job.watch)
    counts = failed_demonstrations(job.task.train) if "demonstrations" in job.method.objective.needs else {}
    return Outcome(steps, "stopped" if stopped else "completed", {**counts, **update.counts})


def descend(
    update: Update,
    objective: Objective,
    changes: Changes,
    items: Iterator[Sequence[Item]],
    saved: Checkpoints,
    watch: Watch,
) -> tuple[int, bool]:
    """Train down the loss; `watch` sees the weights as they are after a step, and ends it all by returning true.

    A checkpoint is written between batches alone. Returns the steps made, and true if the watch ended it.
    """
    plan, iterations = update.plan, int(update.setting("num_iterations") or 1)
    begun = saved.take_up()
    items = islice(items, begun // iterations, None)
    for first in range(begun, plan.steps, iterations):
        batch = objective.draw(update, next(items), first // iterations)
        batch = update.compared(batch) if changes.on_batch else batch
        for step in range(first, min(first + iterations, plan.steps)):
            update.actor.network.zero_grad(set_to_none=True)
            batch, found = _backward(update, objective, changes, batch, step, is_first=step == first)
            found |= _step(update.actor.network, saved.optimizer, changes, plan, step)
            for term in changes.terms:
                term.steer()
            may_save = step + 1 == min(first + iterations, plan.steps)
            found |= {name: getattr(batch, name) for name in ("reward", "reward_std", "mean_length")}
            if _watched(Progress(step + 1, plan.steps, **found), watch, saved, may_save=may_save):
                return step + 1, True
    return plan.steps, False


def _watched(progress: Progress, watch: Watch, saved: Checkpoints, *, may_save: bool) -> bool:
    """True if the watch ends the update; else a checkpoint is written where one is due."""
    try:
        if watch(progress):
            return True
    except SaveAndStop:
        if may_save:
            saved.save(progress.step)
        raise
    if may_save and saved.is_due(progress.step, progress.max_steps):
        saved.save(progress.step)
    return False


def _backward(
    update: Update, objective: Objective, changes: Changes, batch: Batch, step: int, *, is_first: bool
) -> tuple[Batch, StepFigures]:
    """Add the gradient of a step. Returns loss and entropy; of a batch without decisions only terms count.

    `is_first` of its batch: the policy is still the one that played it, and the batch that is returned knows its pass.
    """
    total, uncertainty = 0.0, None
    if len(batch):
        log_NDB = update.actor.log_probabilities(batch.inputs, batch.actions_ND)
        batch = batch.acted_by(log_NDB) if is_first else batch
        loss = objective.loss(update, batch, log_NDB, step)
        for on_batch in changes.on_batch:
            loss = loss + on_batch(batch, log_NDB)
        loss.backward()  # type: ignore[no-untyped-call]
        total, uncertainty = float(loss.detach()), float(entropy(log_NDB).sum(-1).mean())
    total += sum(float(term.add(step, torch.Tensor.backward)) for term in changes.terms)
    return batch, {"loss": total, "entropy": uncertainty}


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, changes: Changes, plan: Plan, step: int) -> StepFigures:
    """Take a step. Returns its learning rate, and the norm of the gradient where it is clipped here."""
    norm = None
    if plan.max_grad_norm and not changes.optimizer_clips:
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), plan.max_grad_norm))
    rate = plan.rate(step)
    for group in optimizer.param_groups:
        group["lr"] = min(rate, LARGEST_RATE)
    optimizer.step()
    return {"learning_rate": rate, "grad_norm": norm}
