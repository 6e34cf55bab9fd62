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
from perdure.agent.worlds.vision.lesson import Lesson
from perdure.agent.worlds.vision.mlp import Params
from perdure.curriculum.settings import Replay
from perdure.curriculum.worlds.contract import Method


def modify(method: Method, settings: Replay, stacked: Params, changes: Changes) -> Changes:
    """The mixture in place of the task's own images."""
    lesson = mixed(changes.lesson, written="demonstrations" in method.objective.needs)
    return replace(changes, lesson=lesson, replay_ratio=settings.replay_ratio)


def mixed(lesson: Lesson, *, written: bool) -> Lesson:
    """The lesson with the images of the earlier ones behind its own; of those with a writer alone where `written`."""
    pool = [one for one in lesson.earlier if one.writes or not written]
    if not pool:
        return lesson
    whole: Sequence[Lesson] = [lesson, *pool]
    return replace(
        lesson,
        inputs_NF=torch.cat([one.inputs_NF for one in whole]),
        correct_NC=torch.cat([one.correct_NC for one in whole]),
        choices_NC=torch.cat([one.writer_1NC()[0] for one in whole]),
        base_log_1NC=torch.cat([one.base_log_1NC for one in whole], dim=1),
        replayed=sum(len(one.inputs_NF) for one in pool),
    )
