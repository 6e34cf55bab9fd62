"""Leaves out inputs that are zero in every image that is learned from: pixels at the border of digits.

Their weights have a gradient of exactly 0, which moves nothing under AdamW without weight decay. So an update ends
where it would with them, but for the order in which products are summed: the last bits differ.
"""

from dataclasses import replace

import torch
from torch import Tensor

from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.vision.changes import Changes, whole_weights
from perdure.agent.worlds.vision.mlp import Params

FIRST = "0.weight"

MULTIPLE = 16
"""Inputs are left out down to a multiple of this, at which products are fastest."""

WORTH = 0.05
"""The least share of inputs that is worth a copy of the first layer."""


class Narrow:
    """A stack in training with fewer inputs. `stacked` and `changes` are what is trained; all but the first layer's
    weights are those of the whole stack."""

    def __init__(self, stacked: Params, changes: Changes, columns_K: Tensor) -> None:
        self._whole_MFH, self._columns_K = stacked[FIRST], columns_K
        self.stacked = {**stacked, FIRST: stacked[FIRST][:, columns_K].contiguous()}
        inputs_NK = changes.tensors.inputs_NF[:, columns_K].contiguous()
        self.changes = replace(changes, tensors=replace(changes.tensors, inputs_NF=inputs_NK))

    @torch.no_grad()
    def settle(self) -> None:
        """Bring the whole stack up to date."""
        self._whole_MFH.index_copy_(1, self._columns_K, self.stacked[FIRST])


def narrow(stacked: Params, changes: Changes, plan: Plan) -> Narrow | None:
    """The stack without dead inputs; `None` where they are few, or something beside the loss acts on the weights."""
    if changes.terms or changes.optimizer is not whole_weights or plan.weight_decay:
        return None
    columns_K = live_inputs(changes.tensors.inputs_NF)
    return Narrow(stacked, changes, columns_K) if columns_K is not None else None


def live_inputs(inputs_NF: Tensor) -> Tensor | None:
    """The inputs that are not zero everywhere, and as many others as make a multiple: shape (K,), ascending.

    `None`: too few could be left out.
    """
    features = inputs_NF.shape[1]
    live_F = (inputs_NF != 0).any(0)
    count = min(features, -(-int(live_F.sum()) // MULTIPLE) * MULTIPLE)
    if features - count < WORTH * features:
        return None
    first_F = live_F.to(torch.uint8).argsort(descending=True, stable=True)
    return first_F[:count].sort().values
