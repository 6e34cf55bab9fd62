"""The modifier `ewc`: a penalty on moving from the stage's first weights, by their Fisher information.

`+ ewc_lambda / 2 · sum_i F_i (θ_i - θ*_i)²` (Kirkpatrick et al., EWC, arXiv 1612.00796), where F is the diagonal Fisher
information of the policy that the stage begins with, a decision, on `fisher_items` decisions of what was learned
before. The base's episodes and the demonstrations of each earlier task count in equal parts. The base's are those that
it imitated; one that was loaded, such as a VLA, plays `PLAYED` from training starts of the tasks so far that the
monitor does not read. At every decision an action is drawn from the policy itself (Kunstner et al., arXiv 1905.12558).

Departure: one quadratic term around the start of the stage, as Huszár argues for (arXiv 1712.03847), in place of one
around the end of each earlier task.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.actor import ROWS, Actor, sampled
from perdure.agent.worlds.control.batches import demonstrations_of
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.inputs import Inputs, joined
from perdure.agent.worlds.control.losses import log_of
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.terms import Quadratic
from perdure.budget.errors import DataError
from perdure.curriculum.settings import Ewc
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.episodes import Episode

Row = TypeVar("Row")

PLAYED = 8
"""Episodes that a base which was loaded plays for it."""


def modify(job: UpdateJob, settings: Ewc, base: ControlBase, changes: Changes) -> Changes:
    """The quadratic term."""
    assert settings.ewc_lambda is not None, "a default stands in the method's row"
    figures = importance(job, base, settings.fisher_items, "ewc")
    return changes.with_term(Quadratic(job.policy.actor.network, settings.ewc_lambda, figures))


def importance(job: UpdateJob, base: ControlBase, count: int, purpose: str) -> Callable[[], dict[str, Tensor]]:
    """A function that takes the Fisher information on about `count` decisions; a resumed update takes the same."""
    sizes, seed = job.policy.actions.sizes, derive(job.seed, purpose)
    return lambda: fisher(
        job.policy.actor, remembered(job, base, count, seed), dimensions=len(sizes), seed=seed
    )  # fmt: skip


def remembered(job: UpdateJob, base: ControlBase, count: int, seed: int) -> list[Observation | Inputs]:
    """What is seen in about `count` decisions of what was learned before, as many of each part, evenly spaced.

    Raises:
        DataError: there are none of the base.
    """
    own: Sequence[Observation | Inputs] = _seen(base.episodes) if base.episodes else played(job, base, seed)
    if not own:
        raise DataError(
            f"method `{job.method.name}`: the base comes to no decision on training starts of this update that the "
            "monitor does not read, so there is nothing to hold it to; lower budget.num_prompts, set fewer items "
            "aside, or choose another method"
        )
    earlier = [_seen([one for item in task.train for one in demonstrations_of(item)]) for task in job.earlier]
    parts = [own, *(part for part in earlier if part)]
    each = max(1, count // len(parts))
    return [seen for part in parts for seen in spaced(part, each)]


def spaced(rows: Sequence[Row], count: int) -> list[Row]:
    """`count` of the rows, evenly spaced over all of them; all of fewer."""
    return [rows[place * len(rows) // count] for place in range(count)] if len(rows) > count else list(rows)


def _seen(episodes: Sequence[Episode]) -> list[Observation | Inputs]:
    return [seen for one in episodes for seen in one.observations]


def played(job: UpdateJob, base: ControlBase, seed: int) -> list[Observation | Inputs]:
    """What a base that was loaded sees in episodes that it plays, evenly spaced over its spare starts."""
    chosen = spaced(base.spare_of((*job.earlier, job.task)), PLAYED)
    player = job.policy.played_by(base.actor)
    player.faults = []  # not of the training
    episodes = player.play(chosen, temperature=1.0, seed=derive(seed, "play"))
    return [one.inputs[row : row + 1] for one in episodes for row in range(len(one.inputs))]


def fisher(
    actor: Actor, observations: Sequence[Observation | Inputs], *, dimensions: int, seed: int
) -> dict[str, Tensor]:
    """The diagonal Fisher information of the policy now, a decision, by parameter name."""
    trained = {name: one for name, one in actor.network.named_parameters() if one.requires_grad}
    squares = {name: torch.zeros_like(one, dtype=torch.float32) for name, one in trained.items()}
    rows = [seen if isinstance(seen, Inputs) else actor.encode([seen]) for seen in observations]
    uniforms_ND = np.random.default_rng(seed).random((len(rows), dimensions))
    draws = torch.split(torch.from_numpy(uniforms_ND).to(rows[0].vector.device), ROWS)
    drawn = [
        actor.act(joined(rows[part * ROWS : (part + 1) * ROWS]), sampled(uniforms, temperature=1.0))[0]
        for part, uniforms in enumerate(draws)
    ]
    for inputs, actions_1D in zip(rows, torch.split(torch.cat(drawn), 1), strict=True):
        log_1 = log_of(actor.log_probabilities(inputs, actions_1D), actions_1D)
        found = torch.autograd.grad(log_1.sum(), list(trained.values()), allow_unused=True)
        for name, gradient in zip(trained, found, strict=True):
            if gradient is not None:
                squares[name] += gradient.float().square()
    return {name: square / len(observations) for name, square in squares.items()}
