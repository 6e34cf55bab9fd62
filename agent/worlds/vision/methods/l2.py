"""l2: SFT held to the weights that the stage began with: `+ l2_lambda / 2 · sum_i (θ_i - θ*_i)²`, all weights alike.

The penalty of L2-SP (Li, Grandvalet, Davoine, arXiv 1802.01483), and the baseline of EWC's paper (arXiv 1612.00796).
Departures: θ* are the weights at the start of the stage and not those of the pretrained model, no layer is left out as
new, and the term is part of the loss, so that AdamW's moments see it.
"""

from torch import Tensor

from perdure.agent.worlds.vision.lesson import Term
from perdure.agent.worlds.vision.methods import sft
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.schedule import default
from perdure.curriculum.settings import L2Train

begin_pass = sft.begin_pass
loss = sft.loss


def term(stacked: Params, settings: L2Train) -> Term:
    """The quadratic term around the weights as they are now."""
    weight = float(default("l2", settings, "l2_lambda"))
    start = {name: tensor.detach().clone() for name, tensor in stacked.items()}

    def held(leaves: Params, step: int) -> Tensor:
        return weight / 2 * distance(leaves, start)

    return held


def distance(leaves: Params, start: Params, importance: Params | None = None) -> Tensor:
    """`sum_i F_i (θ_i - θ*_i)²` of each model, all F_i 1 where they are not given: shape (M,)."""
    parts_LM = []
    for name, tensor in leaves.items():
        squares = (tensor - start[name]).square()
        parts_LM.append((squares if importance is None else importance[name] * squares).flatten(1).sum(1))
    return sum(parts_LM[1:], parts_LM[0])
