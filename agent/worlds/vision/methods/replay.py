"""The modifier `replay`: a share of each batch is images of the tasks before (arXiv 1811.11682).

What imitates is shown their writers' labels, what samples is judged by their rules. Batches keep their size and a stage
its steps, so that the method costs what its objective costs and sees the fewer of its own images. The earlier tasks'
images are one pool, each image as likely as any other. A task that nobody writes for has nothing for what imitates.
Without an earlier task nothing changes, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.curriculum.settings import Replay
from perdure.curriculum.worlds.methods import Method


def modify(method: Method, settings: Replay, stacked: Params, changes: Changes) -> Changes:
    """The mixture in place of the task's own images."""
    tensors = mixed(changes.tensors, written="demonstrations" in method.objective.needs)
    return replace(changes, tensors=tensors, replay_ratio=settings.replay_ratio)


def mixed(tensors: TaskTensors, *, written: bool) -> TaskTensors:
    """The tensors with the images of earlier tasks behind their own; only tasks with a writer where `written`."""
    pool = [one for one in tensors.earlier if one.writes or not written]
    if not pool:
        return tensors
    whole: Sequence[TaskTensors] = [tensors, *pool]
    return replace(
        tensors,
        inputs_NF=torch.cat([one.inputs_NF for one in whole]),
        correct_NC=torch.cat([one.correct_NC for one in whole]),
        choices_NC=torch.cat([one.writer_1NC()[0] for one in whole]),
        base_log_1NC=torch.cat([one.base_log_1NC for one in whole], dim=1),
        replayed=sum(len(one.inputs_NF) for one in pool),
    )
