"""REINFORCE (Williams 1992) with rewards normalised over the batch, as RL's Razor (arXiv 2509.04259) has it."""

from torch import Tensor

from perdure.agent.worlds.control.batches import Batch, practised
from perdure.agent.worlds.control.losses import batch_advantages, log_of
from perdure.agent.worlds.control.methods.rl import play_groups
from perdure.agent.worlds.control.training import Update


def draw(update: Update, number: int) -> Batch:
    """Episodes of the step's starts."""
    played, rewards_PG = play_groups(update, number, "reinforce")
    return practised(played, batch_advantages(rewards_PG.flatten()))


def loss(update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
    """`-sum A log π` over the decisions of an episode, the mean over episodes."""
    assert batch.advantages_N is not None, "`draw` gives them"
    log_N = log_of(log_NDB, batch.actions_ND)
    return -(batch.advantages_N * log_N).sum() / batch.episodes
