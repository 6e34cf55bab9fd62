"""tilt: fit q* ∝ π0·R, the KL-minimal policy that always succeeds, by fresh episodes that succeed.

Each start of a batch is played `num_generations` times. q* weighs its episodes by w ∝ R·π0/π, made to sum to 1 a start
(self-normalised importance sampling; ratios of whole episodes, in which the environment's own chances cancel), and the
loss is cross-entropy to them for `num_iterations` steps. A start without a success gives no term. Samples that are used
for several steps stay right, since q* does not depend on the policy. With `samples_from: base` the base plays; its
successes are distributed as q* already, so that their weights are equal.

Why q*: docs/theory.md. The divisor is that of `rl`, with G·w in place of the advantages. Departure from the vision
world: there every image is answered once at the start of a pass, here a start is played when its batch comes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from perdure.agent.worlds.control.actor import in_chunks
from perdure.agent.worlds.control.batches import Batch, practised
from perdure.agent.worlds.control.losses import log_of, policy_gradient
from perdure.agent.worlds.control.methods.rl import play_groups
from perdure.agent.worlds.control.policy import Played
from perdure.agent.worlds.control.training import Update
from perdure.agent.worlds.losses import tilt_weights
from perdure.curriculum.task import Item


def draw(update: Update, items: Sequence[Item], number: int) -> Batch:
    """A group of episodes of each start, with their weights in q*."""
    from_base = update.setting("samples_from") == "base"
    player = update.policy.played_by(update.base) if from_base else update.policy
    played, rewards_PG = play_groups(update, player, items, number)
    update.count("no_success", (rewards_PG <= 0).all(-1))
    log_ratios_E = torch.tensor([0.0 if from_base else log_ratio(update, one) for one in played])
    weights_PG = tilt_weights(log_ratios_E.view_as(rewards_PG), rewards_PG)
    return practised(played, (rewards_PG.shape[1] * weights_PG).flatten())


def log_ratio(update: Update, one: Played) -> float:
    """`ln π0/π` of a whole episode by the policy that played it, which is the update's as it is.

    Both by the same pass: what a VLA acted by differs in bfloat16 by rounding, which adds up over an episode.
    """
    if not len(one.episode.actions):
        return 0.0
    actions_TD = torch.from_numpy(one.episode.actions).to(one.log_T.device)
    base_T, policy_T = (
        log_of(in_chunks(actor.log_probabilities, one.inputs, actions_TD), actions_TD)
        for actor in (update.base, update.actor)
    )
    return float((base_T - policy_T).sum())


def loss(update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
    """Cross-entropy to the weighted episodes."""
    assert batch.weights_N is not None, "`draw` gives them"
    return policy_gradient(log_of(log_NDB, batch.actions_ND), batch.weights_N)
