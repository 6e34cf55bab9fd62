"""The modifier `ewc`: a penalty on moving from the stage's first weights, by their Fisher information.

`+ ewc_lambda / 2 · sum_i F_i (θ_i - θ*_i)²` (Kirkpatrick et al., EWC, arXiv 1612.00796), where F is the diagonal Fisher
information of the policy that the stage begins with, a decision, on `fisher_items` decisions of what was learned
before. Pretraining is the first of it: the episodes that the base imitated and the demonstrations of each earlier task
count in equal parts. At every decision an action is drawn from the policy itself (Kunstner et al., arXiv 1905.12558).

Departure: one quadratic term around the start of the stage, as Huszár argues for (arXiv 1712.03847), in place of one
around the end of each earlier task.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.actor import Actor, sampled
from perdure.agent.worlds.control.batches import demonstrations_of
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.losses import log_of
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.terms import Quadratic
from perdure.budget.errors import DataError
from perdure.curriculum.settings import Ewc
from perdure.curriculum.worlds.control.environments.contract import Observation


def modify(job: UpdateJob, settings: Ewc, base: ControlBase, changes: Changes) -> Changes:
    """The quadratic term.

    Raises:
        DataError: nothing was demonstrated before this stage.
    """
    assert settings.ewc_lambda is not None, "a default stands in the method's row"
    figures = importance(job, base, settings.fisher_items, "ewc")
    return changes.with_term(Quadratic(job.policy.actor.network, settings.ewc_lambda, figures))


def importance(job: UpdateJob, base: ControlBase, count: int, purpose: str) -> Callable[[], dict[str, Tensor]]:
    """A function that takes the Fisher information on about `count` observations. Raises as `remembered`."""
    seen, sizes, seed = remembered(job, base, count), job.policy.actions.sizes, derive(job.seed, purpose)
    return lambda: fisher(job.policy.actor, seen, dimensions=len(sizes), seed=seed)


def remembered(job: UpdateJob, base: ControlBase, count: int) -> list[Observation]:
    """About `count` observations of what was learned before, as many of each part, evenly spaced.

    Raises:
        DataError: there are none.
    """
    episodes = [base.episodes]
    episodes += [tuple(one for item in task.train for one in demonstrations_of(item)) for task in job.earlier]
    parts = [[seen for one in some for seen in one.observations] for some in episodes if some]
    if not parts:
        raise DataError(
            f"method `{job.method.name}`: the base was loaded and no earlier task has demonstrations, so that there is "
            "nothing of which to take the Fisher information; choose another method here"
        )
    each = max(1, count // len(parts))
    return [seen for part in parts for seen in part[:: max(1, len(part) // each)][:each]]


def fisher(actor: Actor, observations: Sequence[Observation], *, dimensions: int, seed: int) -> dict[str, Tensor]:
    """The diagonal Fisher information of the policy now, a decision, by parameter name."""
    trained = {name: one for name, one in actor.network.named_parameters() if one.requires_grad}
    squares = {name: torch.zeros_like(one) for name, one in trained.items()}
    uniforms_ND = np.random.default_rng(seed).random((len(observations), dimensions))
    for seen, uniforms_D in zip(observations, uniforms_ND, strict=True):
        inputs = actor.encode([seen])
        pick = sampled(torch.from_numpy(uniforms_D[None]).to(inputs.vector.device), temperature=1.0)
        actions_1D, _ = actor.act(inputs, pick)
        log_1 = log_of(actor.log_probabilities(inputs, actions_1D), actions_1D)
        found = torch.autograd.grad(log_1.sum(), list(trained.values()), allow_unused=True)
        for name, gradient in zip(trained, found, strict=True):
            if gradient is not None:
                squares[name] += gradient.square()
    return {name: square / len(observations) for name, square in squares.items()}
