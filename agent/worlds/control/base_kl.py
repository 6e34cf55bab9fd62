"""KL(π0 ‖ π) as a loss: exact, base first, with gradient, on a few episodes of the base a step.

The estimate of `base_states.measured`, in the same unit. Of autoregressive dimensions it is exact along the actions
that the episodes have.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from perdure.agent.worlds.base_prompts import draw_texts
from perdure.agent.worlds.control.actor import Actor
from perdure.agent.worlds.control.base_states import States, joined_states
from perdure.agent.worlds.control.losses import kl_base_to_policy
from perdure.agent.worlds.terms import Backward, row_weights
from perdure.budget.config import Unit


class StateKl:
    """See `perdure.agent.worlds.terms.BaseKl`: `episodes` of them a step, from several groups in equal parts."""

    def __init__(self, actor: Actor, groups: Mapping[str, States], *, unit: Unit, episodes: int, seed: int) -> None:
        self._actor, self._groups, self._unit = actor, dict(groups), unit
        self._episodes, self._seed = episodes, seed

    def chosen(self, step: int) -> dict[str, list[int]]:
        """The episodes of a step, by group."""
        sizes = {name: len(states.lengths) for name, states in self._groups.items()}
        return draw_texts(sizes, count=self._episodes, seed=self._seed, step=step)

    def backward(self, step: int, weight: float, backward: Backward) -> Tensor:
        """See `BaseKl.backward`; nats a `unit`."""
        parts = [self._groups[name].take(numbers) for name, numbers in self.chosen(step).items()]
        states = joined_states(parts)
        shares_S = row_weights([part.lengths for part in parts], self._unit).to(states.base_log_SDB.device)
        with torch.set_grad_enabled(weight > 0):
            log_SDB = self._actor.log_probabilities(states.inputs, states.actions_SD)
            kl = (kl_base_to_policy(log_SDB, states.base_log_SDB) * shares_S).sum()
        if weight > 0:
            backward(weight * kl)
        return kl.detach()
