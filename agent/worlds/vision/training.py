"""Trains a stack of models on one lesson, all together.

Every model has its own start, seed, learning rate and schedule; the method, its other settings and the number of steps
are common. Nothing is summed across models and every product is batched by model, so a model ends with the same
weights, bit for bit, alone or in company (a test proves it). Axes as in `perdure.agent.worlds.vision.lesson`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

from perdure.agent.worlds.vision.batches import batches
from perdure.agent.worlds.vision.draws import Draws
from perdure.agent.worlds.vision.lesson import Lesson, Method, Moment, Term
from perdure.agent.worlds.vision.methods import ewc, l2, replay
from perdure.agent.worlds.vision.mlp import Params, shared_forward, stacked_forward
from perdure.agent.worlds.vision.optimizers import LowRank, Optimizer, WholeWeights
from perdure.agent.worlds.vision.schedule import Plan
from perdure.curriculum.settings import Common, EwcTrain, L2Train, LoraTrain, ReplayTrain
from perdure.curriculum.worlds.contract import Method as MethodName

METHODS: dict[MethodName, str] = {
    "sft": "perdure.agent.worlds.vision.methods.sft",
    "rl": "perdure.agent.worlds.vision.methods.rl",
    "chord": "perdure.agent.worlds.vision.methods.chord",
    "reinforce": "perdure.agent.worlds.vision.methods.reinforce",
    "simpo": "perdure.agent.worlds.vision.methods.simpo",
    "tilt": "perdure.agent.worlds.vision.methods.tilt",
    "gate": "perdure.agent.worlds.vision.methods.gate",
    "rl_kl": "perdure.agent.worlds.vision.methods.rl_kl",
    "eaft": "perdure.agent.worlds.vision.methods.eaft",
    "sft_kl": "perdure.agent.worlds.vision.methods.sft_kl",
    "low_lr_sft": "perdure.agent.worlds.vision.methods.low_lr_sft",
    "replay": "perdure.agent.worlds.vision.methods.replay",
    "ewc": "perdure.agent.worlds.vision.methods.ewc",
    "l2": "perdure.agent.worlds.vision.methods.l2",
    "lora": "perdure.agent.worlds.vision.methods.lora",
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
    terms: Sequence[Term] = (),
) -> int:
    """Train the stack in place; `after_step` sees the weights as they are then, and ends it all by returning true.

    Returns the number of steps that were made. `plans` may differ in learning rate and schedule alone. `terms` are
    added to the method's loss, and so are those of the method itself.
    """
    module: Method = import_module(METHODS[method])
    if isinstance(settings, ReplayTrain):
        lesson = replay.mixed(lesson)
    return descend(
        stacked, lesson, module, settings, plans, seeds, after_step, [*_own(stacked, lesson, settings), *terms]
    )


def descend(
    stacked: Params,
    lesson: Lesson,
    method: Method,
    settings: Common,
    plans: Sequence[Plan],
    seeds: Sequence[int],
    after_step: Callable[[Step], bool],
    terms: Sequence[Term] = (),
) -> int:
    """As `train`, down the loss of any two functions like a method's."""
    plan = plans[0]
    draws = Draws(seeds, lesson.inputs_NF.device)
    optimizer = _optimizer(stacked, plans, draws, settings)

    def policy() -> Tensor:
        return log_probabilities(stacked, lesson.inputs_NF)

    def replayed(step: int) -> int:
        share = settings.replay_ratio if isinstance(settings, ReplayTrain) else 0.0
        return replay.count(step, share, plan.batch_size)

    try:
        for step, (chosen_MB, rows) in enumerate(batches(lesson, method, settings, draws, plan, policy, replayed)):
            log_MBC = stacked_forward(optimizer.leaves, lesson.inputs_NF[chosen_MB]).log_softmax(-1)
            loss_M, reward_M = method.loss(log_MBC, rows, settings, draws, Moment(step, plan.steps))
            for term in terms:
                loss_M = loss_M + term(optimizer.leaves, step)
            rates = optimizer.step(loss_M, step)
            if after_step(Step(step + 1, plan.steps, loss_M.detach(), reward_M, rates)):
                return step + 1
        return plan.steps
    finally:
        for tensor in stacked.values():
            tensor.requires_grad_(False)


def _own(stacked: Params, lesson: Lesson, settings: Common) -> tuple[Term, ...]:
    """The terms that belong to a method, which has them by its settings."""
    if isinstance(settings, EwcTrain):
        return (ewc.term(stacked, lesson, settings),)
    if isinstance(settings, L2Train):
        return (l2.term(stacked, settings),)
    return ()


def _optimizer(stacked: Params, plans: Sequence[Plan], draws: Draws, settings: Common) -> Optimizer:
    if isinstance(settings, LoraTrain):
        return LowRank(stacked, plans, draws, settings.r, settings.lora_alpha / settings.r)
    return WholeWeights(stacked, plans)


@torch.no_grad()
def log_probabilities(stacked: Params, inputs_NF: Tensor) -> Tensor:
    """Log-probabilities of every model on the same images: shape (M, N, C)."""
    return shared_forward(stacked, inputs_NF).log_softmax(-1)
