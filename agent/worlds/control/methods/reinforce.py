"""REINFORCE (Williams 1992) with rewards normalised over the batch, as RL's Razor (arXiv 2509.04259) has it.

One step a batch, so that there is no ratio to clip. The divisor is that of `rl`, so that a learning rate and a clipping
norm mean the same for both.
"""

from collections.abc import Sequence

from torch import Tensor

from perdure.agent.worlds.control.batches import Batch, practised
from perdure.agent.worlds.control.losses import batch_advantages, log_of, policy_gradient
from perdure.agent.worlds.control.methods.rl import play_groups
from perdure.agent.worlds.control.training import Update
from perdure.curriculum.task import Item


def draw(update: Update, items: Sequence[Item], number: int) -> Batch:
    """Episodes of the starts. The whole batch is the group whose rewards are compared."""
    played, rewards_PG = play_groups(update, update.policy, items, number)
    rewards_E = rewards_PG.flatten()
    update.count("equal_rewards", (rewards_E == rewards_E[0]).all()[None])
    return practised(played, batch_advantages(rewards_E))


def loss(update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
    """`-sum A log π` over the decisions of an episode, the mean over episodes, over the horizon."""
    assert batch.weights_N is not None, "`draw` gives them"
    return policy_gradient(log_of(log_NDB, batch.actions_ND), batch.weights_N)
