"""Supervised fine-tuning: behaviour cloning of the demonstrations of the step's starts, those that succeeded.

A start whose demonstration failed has no part. `token_weight: entropy` is EAFT (arXiv 2601.02151): each dimension of a
decision is weighted by the policy's entropy there, over the largest there is.
"""

from collections.abc import Sequence

from torch import Tensor

from perdure.agent.worlds.control.batches import Batch, demonstrations_of, imitated
from perdure.agent.worlds.control.losses import cross_entropy, entropy_weights
from perdure.agent.worlds.control.training import Update
from perdure.curriculum.task import Item


def draw(update: Update, items: Sequence[Item], number: int) -> Batch:
    """All successful demonstrations of the items."""
    return imitated(update.actor, [one for item in items for one in demonstrations_of(item)])


def loss(update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
    """Cross-entropy, nats a decision."""
    weighs = update.setting("token_weight") == "entropy"
    weights_ND = entropy_weights(log_NDB, update.policy.actions.sizes) if weighs else None
    return cross_entropy(log_NDB, batch.actions_ND, weights_ND)
