"""Samples the images of each step for a stack of models, and draws for them once a pass; axes: `task_tensors.py`."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.task_tensors import Objective, Rows, TaskTensors
from perdure.curriculum.settings import Common


class BatchSampler:
    """Deals the images `first` … `first + count - 1` in an order for each model, drawn anew where too few are left."""

    def __init__(self, rngs: Rngs, first: int, count: int) -> None:
        self._rngs, self._first, self._count = rngs, first, count
        self._dealt = count

    def is_spent(self, number: int) -> bool:
        """True if the next `number` images begin a new order."""
        return self._dealt + number > self._count

    def deal(self, number: int) -> Tensor:
        """The next `number` images of each model, at most all there are: shape (M, number)."""
        if self.is_spent(number):
            self._order_MN, self._dealt = self._rngs.orders(self._count) + self._first, 0
        self._dealt += number
        return self._order_MN[:, self._dealt - number : self._dealt]


def batches(
    tensors: TaskTensors,
    objective: Objective,
    settings: Common,
    rngs: Rngs,
    plan: Plan,
    policy: Callable[[], Tensor],
    replayed: Callable[[int], int],
) -> Iterator[tuple[Tensor, Rows]]:
    """For each step the images of each model, (M, B), and the rows of the objective, gathered for them.

    A pass is one round of the task's own images. `replayed` tells how many images of a step are of earlier tasks.
    """
    own = len(tensors.inputs_NF) - tensors.replayed
    new, old = BatchSampler(rngs, 0, own), BatchSampler(rngs, own, tensors.replayed)
    rows: Rows = {}
    for step in range(plan.steps):
        from_old = min(replayed(step), tensors.replayed)
        begins = new.is_spent(plan.batch_size - from_old)
        chosen_MB = new.deal(plan.batch_size - from_old)
        if begins:
            rows = objective.begin_pass(tensors, settings, rngs, policy, rows)
        if from_old:
            chosen_MB = torch.cat([chosen_MB, old.deal(from_old)], dim=1)
        yield chosen_MB, _gather(tensors, rows, chosen_MB)


def _gather(tensors: TaskTensors, rows: Rows, chosen_MB: Tensor) -> Rows:
    """The rows of the chosen images."""
    models = torch.arange(len(chosen_MB), device=chosen_MB.device)[:, None]
    gathered = {name: tensor_MN[models, chosen_MB] for name, tensor_MN in rows.items()}
    return gathered | {
        "correct": tensors.correct_NC[chosen_MB],
        "base_log": tensors.base_log_1NC[0][chosen_MB],
    }
