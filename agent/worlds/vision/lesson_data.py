"""From a task's items to what a stack of models learns from, and is examined on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from perdure.agent.worlds.vision.lesson import Lesson
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.training import log_probabilities
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.vision.images.arrays import arrays_of

LESSONS = 4
"""Lessons that are kept: 11 MB each at the shipped size."""


def lesson_for(task: Task, base: Params, known_NF: Tensor | None = None) -> Lesson:
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
        writes=arrays.writes,
        known_NF=known_NF,
    )


class Lessons:
    """The lessons of one base; the last few are kept."""

    def __init__(self, base: Params) -> None:
        self._base = base
        self._kept: list[tuple[Task, Lesson]] = []

    def of(self, task: Task) -> Lesson:
        """The lesson of a task, made anew unless it was asked for of late. Tasks are told apart as objects."""
        found = next((lesson for kept, lesson in self._kept if kept is task), None) or lesson_for(task, self._base)
        self._kept = [(task, found), *(pair for pair in self._kept if pair[0] is not task)][:LESSONS]
        return found


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
