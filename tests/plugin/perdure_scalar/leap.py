"""The objective `leap` of the vision world: REINFORCE with its loss doubled."""

from typing import Any

from perdure.agent.worlds.vision.methods import reinforce

begin_pass = reinforce.begin_pass


def loss(log_MBC: Any, rows: Any, settings: Any, draws: Any, index: Any) -> Any:
    loss_M, reward_M = reinforce.loss(log_MBC, rows, settings, draws, index)
    return 2 * loss_M, reward_M
