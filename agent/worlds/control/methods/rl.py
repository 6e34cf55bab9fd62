"""RL by groups of episodes of the same start: GRPO (arXiv 2402.03300) with Dr. GRPO's advantages (arXiv 2503.20783).

Each batch is learned from for `num_iterations` steps, with PPO's clipping of each decision's importance ratio. The sum
over decisions is divided by the number of episodes and the horizon.
"""

import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.control.batches import Batch, practised
from perdure.agent.worlds.control.losses import clipped, group_advantages, log_of
from perdure.agent.worlds.control.policy import Played
from perdure.agent.worlds.control.schedule import default
from perdure.agent.worlds.control.training import Update


def draw(update: Update, number: int) -> Batch:
    """A group of episodes of each of the step's starts."""
    played, rewards_PG = play_groups(update, number, "rl")
    scaled = default("rl", update.settings, "scale_rewards") == "group"
    return practised(played, group_advantages(rewards_PG, scaled=scaled).flatten())


def play_groups(update: Update, number: int, objective: str) -> tuple[list[Played], Tensor]:
    """Groups of episodes, one behind the other, and their rewards (P, G)."""
    group = int(default(objective, update.settings, "num_generations"))
    starts = [item.prompt for item in update.deal(number) for _ in range(group)]
    played = update.policy.play(starts, temperature=1.0, seed=derive(update.seed, "play", number), repeats=group)
    return played, torch.tensor([one.reward for one in played]).view(-1, group)


def loss(update: Update, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
    """The clipped policy gradient."""
    assert batch.old_log_N is not None and batch.advantages_N is not None, "`draw` gives both"
    log_N = log_of(log_NDB, batch.actions_ND)
    epsilon = float(default("rl", update.settings, "epsilon"))
    divisor = float(batch.episodes * update.deal(0)[0].prompt.environment.horizon)
    return clipped(log_N, batch.old_log_N, batch.advantages_N, epsilon=epsilon, divisor=divisor)
