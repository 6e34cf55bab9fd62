"""CHORD (arXiv 2508.11408): `(1 - mu) · RL + mu · SFT`, with mu falling by a half cosine.

Both terms are of the same starts: `rl` plays them, and their demonstrations are imitated. With `phi` each dimension of
a demonstrated decision is weighted by p(1 - p) of its value.
"""

from collections.abc import Sequence

from torch import Tensor

from perdure.agent.worlds.control.batches import Batch, side_by_side
from perdure.agent.worlds.control.losses import chosen_of, cross_entropy
from perdure.agent.worlds.control.methods import rl, sft
from perdure.agent.worlds.control.training import Update
from perdure.agent.worlds.losses import mu, token_weights
from perdure.curriculum.task import Item


def draw(update: Update, items: Sequence[Item], number: int) -> Batch:
    """The episodes that are played, and behind them those that are demonstrated."""
    return side_by_side(rl.draw(update, items, number), sft.draw(update, items, number))


def loss(update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
    """The weighted sum of the two terms."""
    assert batch.old_log_N is not None, "`draw` gives them"
    played = len(batch.old_log_N)
    decay_steps = update.setting("mu_decay_steps") or update.plan.steps
    weight = mu(step, start=update.setting("mu_start"), end=update.setting("mu_end"), decay_steps=decay_steps)
    practice = rl.loss(update, batch.first(played), log_NDB[:played], step)
    shown_NDB, actions_ND = log_NDB[played:], batch.actions_ND[played:]
    doubts_ND = chosen_of(token_weights(shown_NDB), actions_ND) if update.setting("phi") else None
    return (1 - weight) * practice + weight * cross_entropy(shown_NDB, actions_ND, doubts_ND)
