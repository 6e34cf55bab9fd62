"""Trains a stack of models on one task, all together.

Every model has its own start, seed, learning rate and schedule; the method, its other settings and the number of steps
are common. Nothing is summed across models and every product is batched by model, so a model ends with the same
weights, bit for bit, alone or in company (a test proves it). Axes as in `task_tensors.py`.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import torch
from torch import Tensor

from perdure.agent.worlds.replayed import replayed_items
from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.vision.batches import batches
from perdure.agent.worlds.vision.changes import Changes, changes_of
from perdure.agent.worlds.vision.dead_inputs import narrow
from perdure.agent.worlds.vision.mlp import Params, shared_forward, stacked_forward
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.task_tensors import Idle, LossTerm, Objective, StepIndex, TaskTensors
from perdure.curriculum.settings import Common
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.methods import Method


@dataclass(frozen=True)
class StackStep:
    """One optimiser step of the stack, just done, from 1.

    Losses, rewards and gradients' norms before clipping are of shape (M,), log-probabilities (M, B, C).
    """

    number: int
    steps: int
    loss_M: Tensor
    reward_M: Tensor | None
    norm_M: Tensor | None
    log_MBC: Tensor
    rates: tuple[float, ...]


def train(
    stacked: Params,
    tensors: TaskTensors,
    method: Method,
    settings: MethodSettings,
    plans: Sequence[Plan],
    seeds: Sequence[int],
    after_step: Callable[[StackStep], bool],
    terms: Sequence[LossTerm] = (),
    idle: Idle | None = None,
    looked_at: Container[int] | None = None,
) -> int:
    """Train the stack in place; `after_step` sees the weights as they are then, and ends it all by returning true.

    `looked_at`: the steps after which it does look at the weights; by default all.

    Returns the number of steps that were made. `plans` may differ in learning rate and schedule alone. `terms` are
    added to the loss behind those of the modifiers. `idle` counts groups of samples from which nothing was learned.
    """
    objective: Objective = import_module(method.objective.code)
    changes = changes_of(method, settings, stacked, tensors)
    changes = replace(changes, terms=(*changes.terms, *terms))
    fewer = narrow(stacked, changes, plans[0])
    if fewer is None:
        return descend(stacked, changes, objective, settings.objective, plans, seeds, after_step, idle)

    def settled(step: StackStep) -> bool:
        if looked_at is None or step.number in looked_at:
            fewer.settle()
        return after_step(step)

    try:
        return descend(fewer.stacked, fewer.changes, objective, settings.objective, plans, seeds, settled, idle)
    finally:
        fewer.settle()


def descend(
    stacked: Params,
    changes: Changes,
    objective: Objective,
    settings: Common,
    plans: Sequence[Plan],
    seeds: Sequence[int],
    after_step: Callable[[StackStep], bool],
    idle: Idle | None = None,
) -> int:
    """Train down the loss of any two functions like an objective's, with changes that are known already."""
    tensors, plan, idle = changes.tensors, plans[0], idle or Idle()
    rngs = Rngs(seeds, tensors.inputs_NF.device)
    optimizer = changes.optimizer(stacked, plans, rngs)

    def policy() -> Tensor:
        return log_probabilities(stacked, tensors.inputs_NF)

    def replayed(step: int) -> int:
        return replayed_items(step, changes.replay_ratio, plan.batch_size)

    try:
        for step, (chosen_MB, rows) in enumerate(batches(tensors, objective, settings, rngs, plan, policy, replayed)):
            log_MBC = stacked_forward(optimizer.leaves, tensors.inputs_NF[chosen_MB]).log_softmax(-1)
            loss_M, reward_M = objective.loss(log_MBC, rows, settings, rngs, StepIndex(step, plan.steps, idle))
            for term in changes.terms:
                loss_M = loss_M + term(optimizer.leaves, step, log_MBC, rows)
            rates = optimizer.step(loss_M, step)
            norm_M, log_MBC = optimizer.norm_M, log_MBC.detach()
            if after_step(StackStep(step + 1, plan.steps, loss_M.detach(), reward_M, norm_M, log_MBC, rates)):
                return step + 1
        return plan.steps
    finally:
        for tensor in stacked.values():
            tensor.requires_grad_(False)


@torch.no_grad()
def log_probabilities(stacked: Params, inputs_NF: Tensor) -> Tensor:
    """Log-probabilities of every model on the same images: shape (M, N, C)."""
    return shared_forward(stacked, inputs_NF).log_softmax(-1)
