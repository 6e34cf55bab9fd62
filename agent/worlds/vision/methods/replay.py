"""replay: SFT with a share of the images taken from the tasks before, with their writers' labels (arXiv 1811.11682).

Batches keep their size and a stage its steps, so that the method costs what `sft` costs and sees the fewer of its own
images. The earlier tasks' images are one pool, each image as likely as any other. A task that nobody writes for has
nothing to replay. Without an earlier task this is `sft`, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from perdure.agent.worlds.vision.lesson import Lesson
from perdure.agent.worlds.vision.methods import sft

begin_pass = sft.begin_pass
loss = sft.loss


def mixed(lesson: Lesson) -> Lesson:
    """The lesson with the images of the earlier ones that have a writer behind its own."""
    pool = [one for one in lesson.earlier if one.writes]
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


def count(step: int, share: float, batch_size: int) -> int:
    """Images of earlier tasks in the batch of `step`, from 0: whole numbers that make up `share` of all over the steps.

    A share of 0.01 of 64 images is thus one image in each of 16 steps of 25. At least one image is the task's own.
    """
    upto = [int(number * share * batch_size + 1e-9) for number in (step, step + 1)]
    return min(upto[1] - upto[0], batch_size - 1)
