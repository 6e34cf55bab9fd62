"""ewc: SFT held to the weights that the stage began with, each by how much the old answers hang on it.

`+ ewc_lambda / 2 · sum_i F_i (θ_i - θ*_i)²` (Kirkpatrick et al., EWC, arXiv 1612.00796), where F is the diagonal Fisher
information of the policy that the stage begins with, exact over the labels, on `fisher_items` images of what was
learned before. Pretraining is the first of what was learned before: its images and those of each earlier task count in
equal parts. That lets `ewc` do at the first stage what it is for, and does not let go of the base at the second; but it
is told of images of the base's, clothes among them, which of all methods only the recovery from the base is.

Departure: one quadratic term around the start of the stage, as Huszár argues for (arXiv 1712.03847), in place of one
around the end of each earlier task; and all the Fisher information is taken there.
"""

import torch
from torch import Tensor

from perdure.agent.worlds.vision.fisher import diagonal_fisher
from perdure.agent.worlds.vision.lesson import Lesson, Term
from perdure.agent.worlds.vision.methods import l2, sft
from perdure.agent.worlds.vision.mlp import Params, member, stack
from perdure.agent.worlds.vision.schedule import default
from perdure.curriculum.settings import EwcTrain

begin_pass = sft.begin_pass
loss = sft.loss


def term(stacked: Params, lesson: Lesson, settings: EwcTrain) -> Term:
    """The quadratic term around the weights as they are now."""
    weight = float(default("ewc", settings, "ewc_lambda"))
    start = {name: tensor.detach().clone() for name, tensor in stacked.items()}
    inputs_NF = remembered(lesson, settings.fisher_items)
    models = len(next(iter(start.values())))
    fisher = stack([diagonal_fisher(member(start, index), inputs_NF) for index in range(models)])

    def held(leaves: Params, step: int) -> Tensor:
        return weight / 2 * l2.distance(leaves, start, fisher)

    return held


def remembered(lesson: Lesson, items: int) -> Tensor:
    """About `items` images of what was learned before: shape (N, F).

    As many of each part, evenly spaced, since those of the base's images that are digits come before those that are
    not. Without any of it, which no world leaves out, the lesson's own images stand in.
    """
    known = [] if lesson.known_NF is None else [lesson.known_NF]
    parts = [*known, *(one.inputs_NF for one in lesson.earlier)] or [lesson.inputs_NF]
    each = max(1, items // len(parts))
    return torch.cat([part_NF[:: max(1, len(part_NF) // each)][:each] for part_NF in parts])
