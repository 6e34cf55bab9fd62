"""The modifier `low_rank`: the update of every weight matrix has rank `r` (LoRA, arXiv 2106.09685), merged as it goes.

The mathematics is in `agent/worlds/low_rank_adamw.py`. Departures: each stage begins a new pair of factors; the update
is in the weights as it goes and no adapter stands beside them; every layer has one, where the paper adapts attention
alone. Biases and the table of words stay as they are.
"""

from dataclasses import replace

from torch import nn

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.networks.parts import matrices
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.low_rank_adamw import LowRankAdamW
from perdure.agent.worlds.schedule import Plan
from perdure.curriculum.settings import LowRank


def modify(job: UpdateJob, settings: LowRank, base: ControlBase, changes: Changes) -> Changes:
    """The optimiser of the factors in place of that of the weights."""

    def make(network: nn.Module, plan: Plan) -> LowRankAdamW:
        return LowRankAdamW(
            matrices(network),
            rank=settings.r,
            alpha=settings.lora_alpha,
            max_grad_norm=plan.max_grad_norm,
            seed=derive(job.seed, "low_rank"),
            lr=plan.learning_rate,
            weight_decay=plan.weight_decay,
        )

    return replace(changes, optimizer=make, optimizer_clips=True)
