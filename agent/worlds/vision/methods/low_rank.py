"""The modifier `low_rank`: the update of every weight matrix has rank `r` (LoRA, arXiv 2106.09685).

The mathematics is in `optimizers.py`. Departures: each stage begins a new pair of factors, the update is in the
weights as it goes and no adapter stands beside them, every layer has one, where the paper adapts a Transformer's
attention alone, and A begins uniform and not Gaussian.
"""

from collections.abc import Sequence
from dataclasses import replace

from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.optimizers import LowRankAdam, Optimizer
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.curriculum.settings import LowRank
from perdure.curriculum.worlds.methods import Method


def modify(method: Method, settings: LowRank, stacked: Params, changes: Changes) -> Changes:
    """The optimiser of the factors in place of that of the weights."""

    def make(stacked: Params, plans: Sequence[Plan], rngs: Rngs) -> Optimizer:
        return LowRankAdam(stacked, plans, rngs, settings.r, settings.lora_alpha / settings.r)

    return replace(changes, optimizer=make)
