"""RL by groups of episodes of the same start: GRPO (arXiv 2402.03300) with Dr. GRPO's advantages (arXiv 2503.20783).

Each batch is learned from for `num_iterations` steps, with PPO's clipping of each decision's importance ratio. The sum
over decisions is divided by the number of episodes and the horizon, not by an episode's length. With `beta` above 0 the
reverse KL to the original base is added, exact over the values, on the same decisions and with the same divisor, so
that `beta` is the price of a nat in units of reward. GRPO's own KL term is an estimate of it by the samples. With
`entropy_coef` above 0 the mean entropy of a decision is added to the objective, exact over the values (TRL's bonus; its
weight does not depend on the divisor of the rest).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.control.batches import Batch, practised
from perdure.agent.worlds.control.losses import clipped, kl_policy_to_base, log_of, mean_entropy
from perdure.agent.worlds.control.policy import ControlPolicy, Played
from perdure.agent.worlds.control.training import Update
from perdure.agent.worlds.losses import group_advantages
from perdure.curriculum.task import Item


def draw(update: Update, items: Sequence[Item], number: int) -> Batch:
    """A group of episodes of each start."""
    played, rewards_PG = play_groups(update, update.policy, items, number)
    update.count("equal_rewards", (rewards_PG == rewards_PG[:, :1]).all(-1))
    scaled = update.setting("scale_rewards") == "group"
    batch = practised(played, group_advantages(rewards_PG, scaled=scaled).flatten())
    return update.compared(batch) if update.setting("beta") else batch


def play_groups(
    update: Update, player: ControlPolicy, items: Sequence[Item], number: int
) -> tuple[list[Played], Tensor]:
    """Groups of episodes of the same start, one behind the other, and their rewards (P, G)."""
    group = int(update.setting("num_generations"))
    starts = [item.prompt for item in items for _ in range(group)]
    played = player.play(starts, temperature=1.0, seed=derive(update.seed, "play", number))
    rewards_PG = torch.tensor([one.reward for one in played]).view(-1, group)
    update.count("unrewarded", (rewards_PG <= 0).flatten())
    return played, rewards_PG


def loss(update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
    """The clipped policy gradient, the KL term and the entropy bonus."""
    assert batch.old_log_N is not None and batch.weights_N is not None, "`draw` gives both"
    log_N = log_of(log_NDB, batch.actions_ND)
    found = clipped(log_N, batch.old_log_N, batch.weights_N, epsilon=float(update.setting("epsilon")))
    if beta := float(update.setting("beta")):
        assert batch.base_log_NDB is not None and batch.shares_N is not None, "`draw` gives both"
        found = found + beta * (kl_policy_to_base(log_NDB, batch.base_log_NDB) * batch.shares_N).sum()
    if bonus := float(update.setting("entropy_coef")):
        found = found - bonus * mean_entropy(log_NDB)
    return found
