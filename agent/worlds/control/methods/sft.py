"""Supervised fine-tuning: behaviour cloning of the demonstrations of the step's starts, those that succeeded."""

from torch import Tensor

from perdure.agent.worlds.control.batches import Batch, demonstrations_of, imitated
from perdure.agent.worlds.control.losses import cross_entropy
from perdure.agent.worlds.control.training import Update


def draw(update: Update, number: int) -> Batch:
    """All successful demonstrations of the step's starts."""
    episodes = [one for item in update.deal(number) for one in demonstrations_of(item)]
    return imitated(update.actor, episodes)


def loss(update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
    """Cross-entropy, nats a decision."""
    return cross_entropy(log_NDB, batch.actions_ND)
