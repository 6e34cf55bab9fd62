"""Trains a stack of models on one lesson, all together.

Every model has its own start, seed, learning rate and schedule; the method, its other settings and the number of steps
are common. Nothing is summed across models and every product is batched by model, so a model ends with the same
weights, bit for bit, alone or in company (a test proves it). Axes as in `perdure.agent.vision.lesson`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

from perdure.agent.vision.draws import Draws
from perdure.agent.vision.lesson import Lesson, Method, Moment, Rows
from perdure.agent.vision.mlp import Params, member, shared_forward, stacked_forward
from perdure.agent.vision.plan import Plan
from perdure.curriculum.train import Common
from perdure.curriculum.train import Method as MethodName

METHODS: dict[MethodName, str] = {
    "sft": "perdure.agent.vision.methods.sft",
    "rl": "perdure.agent.vision.methods.rl",
    "chord": "perdure.agent.vision.methods.chord",
    "reinforce": "perdure.agent.vision.methods.reinforce",
    "simpo": "perdure.agent.vision.methods.simpo",
    "tilt": "perdure.agent.vision.methods.tilt",
}
"""Where the two functions of each method are."""


@dataclass(frozen=True)
class Step:
    """One optimiser step of the stack, just done, from 1; losses and rewards of shape (M,)."""

    number: int
    steps: int
    loss_M: Tensor
    reward_M: Tensor | None
    rates: tuple[float, ...]


def train(
    stacked: Params,
    lesson: Lesson,
    method: MethodName,
    settings: Common,
    plans: Sequence[Plan],
    seeds: Sequence[int],
    after_step: Callable[[Step], bool],
) -> int:
    """Train the stack in place; `after_step` sees the weights as they are then, and ends it all by returning true.

    Returns the number of steps that were made. `plans` may differ in learning rate and schedule alone.
    """
    module: Method = import_module(METHODS[method])
    plan = plans[0]
    draws = Draws(seeds, lesson.inputs_NF.device)
    optimizer = _Optimizer(stacked, plans)
    try:
        for step, (chosen_MB, rows) in enumerate(_batches(stacked, lesson, module, settings, draws, plan)):
            logits_MBC = stacked_forward(optimizer.leaves, lesson.inputs_NF[chosen_MB])
            batch, moment = _gather(lesson, rows, chosen_MB), Moment(step, plan.steps)
            loss_M, reward_M = module.loss(logits_MBC.log_softmax(-1), batch, settings, draws, moment)
            rates = optimizer.step(loss_M, step)
            if after_step(Step(step + 1, plan.steps, loss_M.detach(), reward_M, rates)):
                return step + 1
        return plan.steps
    finally:
        for tensor in stacked.values():
            tensor.requires_grad_(False)


def _batches(
    stacked: Params, lesson: Lesson, module: Method, settings: Common, draws: Draws, plan: Plan
) -> Iterator[tuple[Tensor, Rows]]:
    """For each step which images each model takes (M, B), and the rows of the pass.

    Each pass is in an order of its own; images that do not fill a batch are left out of it.
    """
    images = len(lesson.inputs_NF)
    each_pass = max(1, images // plan.batch_size)
    rows: Rows = {}

    def policy() -> Tensor:
        return log_probabilities(stacked, lesson.inputs_NF)

    for step in range(plan.steps):
        place = step % each_pass
        if place == 0:
            order_MN = draws.orders(images)
            rows = module.begin_pass(lesson, settings, draws, policy, rows)
        yield order_MN[:, place * plan.batch_size : (place + 1) * plan.batch_size], rows


def _gather(lesson: Lesson, rows: Rows, chosen_MB: Tensor) -> Rows:
    """The rows of the chosen images."""
    models = torch.arange(len(chosen_MB), device=chosen_MB.device)[:, None]
    gathered = {name: tensor_MN[models, chosen_MB] for name, tensor_MN in rows.items()}
    return gathered | {
        "correct": lesson.correct_NC[chosen_MB],
        "base_log": lesson.base_log_1NC[0][chosen_MB],
    }


@torch.no_grad()
def log_probabilities(stacked: Params, inputs_NF: Tensor) -> Tensor:
    """Log-probabilities of every model on the same images: shape (M, N, C)."""
    return shared_forward(stacked, inputs_NF).log_softmax(-1)


class _Optimizer:
    """torch's AdamW over the slices of a stack: each model is a parameter group with a learning rate of its own.

    The slices share memory with the stack, and so do their gradients, so nothing is copied.
    """

    def __init__(self, stacked: Params, plans: Sequence[Plan]) -> None:
        self.leaves = {name: tensor.requires_grad_() for name, tensor in stacked.items()}
        self._plans = plans
        self._slices = [
            {name: tensor.detach() for name, tensor in member(stacked, index).items()} for index in range(len(plans))
        ]
        groups = [
            {"params": list(one.values()), "lr": plan.learning_rate}
            for one, plan in zip(self._slices, plans, strict=True)
        ]
        self._adam = torch.optim.AdamW(groups, weight_decay=plans[0].weight_decay, fused=True)

    def step(self, loss_M: Tensor, step: int) -> tuple[float, ...]:
        """One step down the gradient of each model's own loss; the learning rates that were taken."""
        found = torch.autograd.grad(loss_M.sum(), list(self.leaves.values()))
        gradients = dict(zip(self.leaves, found, strict=True))
        if self._plans[0].max_grad_norm:
            _clip(gradients, self._plans[0].max_grad_norm)
        rates = tuple(plan.rate(step) for plan in self._plans)
        for index, (group, rate) in enumerate(zip(self._adam.param_groups, rates, strict=True)):
            group["lr"] = rate
            for name, tensor in self._slices[index].items():
                tensor.grad = gradients[name][index]
        self._adam.step()
        return rates


def _clip(gradients: Params, most: float) -> None:
    """Scale each model's gradient to a norm of at most `most`, in place."""
    squares_M = sum(gradient.flatten(1).square().sum(1) for gradient in gradients.values())
    scale_M = (most / (torch.as_tensor(squares_M).sqrt() + 1e-6)).clamp(max=1)
    for gradient in gradients.values():
        gradient.mul_(scale_M.view(-1, *[1] * (gradient.dim() - 1)))
