"""From a task's items to what a stack of models learns from, and is examined on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from perdure.agent.vision.lesson import Lesson
from perdure.agent.vision.mlp import Params
from perdure.agent.vision.training import log_probabilities
from perdure.curriculum.images.arrays import arrays_of
from perdure.curriculum.task import Task


def lesson_for(task: Task, base: Params) -> Lesson:
    """The training images of a task, with what the base (a stack of one) thinks of them."""
    arrays = arrays_of(task.train)
    device = next(iter(base.values())).device
    inputs_NF = torch.from_numpy(arrays.inputs_NF).to(device)
    choices_NC = None if arrays.choices_NC is None else torch.from_numpy(arrays.choices_NC).to(device)
    return Lesson(
        inputs_NF=inputs_NF,
        correct_NC=torch.from_numpy(arrays.correct_NC).to(device).float(),
        choices_NC=choices_NC,
        base_log_1NC=log_probabilities(base, inputs_NF),
    )


@dataclass(frozen=True)
class Examination:
    """The held-out images of a task or benchmark: inputs (N, F), and which labels are right (N, C), 0 or 1."""

    name: str
    inputs_NF: Tensor
    correct_NC: Tensor


def examination_for(task: Task, device: torch.device) -> Examination:
    """The held-out images of a task."""
    arrays = arrays_of(task.heldout)
    inputs_NF = torch.from_numpy(arrays.inputs_NF).to(device)
    return Examination(task.name, inputs_NF, torch.from_numpy(arrays.correct_NC).to(device).float())
