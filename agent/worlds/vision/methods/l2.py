"""The modifier `l2`: `+ l2_lambda / 2 · sum_i (θ_i - θ*_i)²`, a penalty on moving from the stage's first weights.

The penalty of L2-SP (Li, Grandvalet, Davoine, arXiv 1802.01483), and the baseline of EWC's paper (arXiv 1612.00796).
Departures: θ* are the weights at the start of the stage and not those of the pretrained model, no layer is left out as
new, and the term is part of the loss, so that AdamW's moments see it.
"""

from dataclasses import replace

from torch import Tensor

from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.task_tensors import LossTerm, Rows
from perdure.curriculum.settings import L2
from perdure.curriculum.worlds.methods import Method


def modify(method: Method, settings: L2, stacked: Params, changes: Changes) -> Changes:
    """The quadratic term around the weights as they are now."""
    assert settings.l2_lambda is not None, "a default stands in the method's row"
    return replace(changes, terms=(*changes.terms, quadratic(stacked, settings.l2_lambda)))


def quadratic(stacked: Params, weight: float, importance: Params | None = None) -> LossTerm:
    """`weight / 2 · sum_i F_i (θ_i - θ*_i)²` of each model around the weights θ* as they are now."""
    start = {name: tensor.detach().clone() for name, tensor in stacked.items()}

    def term(leaves: Params, step: int, log_MBC: Tensor, rows: Rows) -> Tensor:
        return weight / 2 * distance(leaves, start, importance)

    return term


def distance(leaves: Params, start: Params, importance: Params | None = None) -> Tensor:
    """`sum_i F_i (θ_i - θ*_i)²` of each model, all F_i 1 where they are not given: shape (M,)."""
    parts_LM = []
    for name, tensor in leaves.items():
        squares = (tensor - start[name]).square()
        parts_LM.append((squares if importance is None else importance[name] * squares).flatten(1).sum(1))
    return sum(parts_LM[1:], parts_LM[0])
