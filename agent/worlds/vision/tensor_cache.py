"""Makes the tensors of a task: for training, and for evaluation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.agent.worlds.vision.training import log_probabilities
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.vision.images.arrays import arrays_of

KEPT_TASKS = 4
"""Tasks whose tensors are kept: 11 MB each at the shipped size."""


def tensors_of(task: Task, base: Params, known_NF: Tensor | None = None) -> TaskTensors:
    """The training images of a task, with the log-probabilities of the base, a stack of one."""
    arrays = arrays_of(task.train)
    device = next(iter(base.values())).device
    inputs_NF = torch.from_numpy(arrays.inputs_NF).to(device)
    choices_NC = None if arrays.choices_NC is None else torch.from_numpy(arrays.choices_NC).to(device)
    return TaskTensors(
        inputs_NF=inputs_NF,
        correct_NC=torch.from_numpy(arrays.correct_NC).to(device).float(),
        choices_NC=choices_NC,
        base_log_1NC=log_probabilities(base, inputs_NF),
        writes=arrays.writes,
        known_NF=known_NF,
    )


class TensorCache:
    """The tensors of tasks for one base; the last few are kept."""

    def __init__(self, base: Params) -> None:
        self._base = base
        self._kept: list[tuple[Task, TaskTensors]] = []

    def of(self, task: Task) -> TaskTensors:
        """The tensors of a task, made anew unless it was asked for lately. Tasks are compared as objects."""
        found = next((tensors for kept, tensors in self._kept if kept is task), None) or tensors_of(task, self._base)
        self._kept = [(task, found), *(pair for pair in self._kept if pair[0] is not task)][:KEPT_TASKS]
        return found


@dataclass(frozen=True)
class EvalSet:
    """The held-out images of a task or benchmark: inputs (N, F), and which labels are right (N, C), 0 or 1."""

    name: str
    inputs_NF: Tensor
    correct_NC: Tensor


def eval_set_of(task: Task, device: torch.device) -> EvalSet:
    """The held-out images of a task."""
    arrays = arrays_of(task.heldout)
    inputs_NF = torch.from_numpy(arrays.inputs_NF).to(device)
    return EvalSet(task.name, inputs_NF, torch.from_numpy(arrays.correct_NC).to(device).float())
