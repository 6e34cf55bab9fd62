"""The modifier `ewc`: a penalty on moving from the stage's first weights, by their Fisher information.

`+ ewc_lambda / 2 · sum_i F_i (θ_i - θ*_i)²` (Kirkpatrick et al., EWC, arXiv 1612.00796), where F is the diagonal Fisher
information of the policy that the stage begins with, exact over the labels, on `fisher_items` images of what was
learned before. Pretraining is the first of what was learned before: its images and those of each earlier task count in
equal parts. That lets `ewc` do at the first stage what it is for, and does not let go of the base at the second; but it
sees images of the base's, clothes among them, as only the recovery from the base does otherwise.

Departure: one quadratic term around the start of the stage, as Huszár argues for (arXiv 1712.03847), in place of one
around the end of each earlier task; and all the Fisher information is taken there.
"""

from dataclasses import replace

import torch
from torch import Tensor

from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.fisher import diagonal_fisher
from perdure.agent.worlds.vision.methods.l2 import quadratic
from perdure.agent.worlds.vision.mlp import Params, member, stack
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.curriculum.settings import Ewc
from perdure.curriculum.worlds.methods import Method

NEARLY_ALL = 0.9


def modify(method: Method, settings: Ewc, stacked: Params, changes: Changes) -> Changes:
    """The quadratic term around the weights as they are now."""
    assert settings.ewc_lambda is not None, "a default stands in the method's row"
    inputs_NF = remembered(changes.tensors, settings.fisher_items)
    models = len(next(iter(stacked.values())))
    fisher = stack([diagonal_fisher(member(stacked, index), inputs_NF) for index in range(models)])
    return replace(changes, terms=(*changes.terms, quadratic(stacked, settings.ewc_lambda, fisher)))


def remembered(tensors: TaskTensors, items: int) -> Tensor:
    """About `items` images of what was learned before: shape (N, F).

    As many of each part, evenly spaced, since those of the base's images that are digits come before those that are
    not. Without any of it, which no world leaves out, the tensors's own images stand in.
    """
    known = [] if tensors.known_NF is None else [tensors.known_NF]
    parts = [*known, *(one.inputs_NF for one in tensors.earlier)] or [tensors.inputs_NF]
    each = max(1, items // len(parts))
    return torch.cat([part_NF[_spread(min(each, len(part_NF)), len(part_NF))] for part_NF in parts])


def _spread(count: int, total: int) -> Tensor:
    """`count` of the numbers 0 … `total` - 1, evenly spaced: shape (count,).

    They are a whole number apart where that reaches `NEARLY_ALL` of them, so that results stay as they were.
    """
    step = total // count
    if step * count >= NEARLY_ALL * total:
        return torch.arange(count) * step
    return torch.arange(count) * total // count
