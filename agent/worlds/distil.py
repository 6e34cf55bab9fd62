"""Recovery: distil from the original base until the policy is back within its cap.

AdamW on KL(π0 ‖ π) alone, on texts (or episodes) of the base. After "On-Policy Distillation" (Thinking Machines, 2025),
which restores what a model could do before it was fine-tuned. Departures: the texts are the base's and the KL is
forward, as in the budget; there they are the student's, and the KL is reverse.
"""

from collections.abc import Sequence

import torch
from torch import nn

from perdure.agent.worlds.contract import Progress, Watch
from perdure.agent.worlds.schedule import LARGEST_RATE
from perdure.agent.worlds.terms import BaseKl
from perdure.budget import ranks
from perdure.budget.config import RecoverConfig

MAX_GRAD_NORM = 1.0
"""As in most methods."""


def distil(
    trained: Sequence[nn.Parameter], loss: BaseKl, config: RecoverConfig, learning_rate: float, watch: Watch
) -> int:
    """See `World.recover`. The loss that `watch` gets is the KL before the step.

    Each process of the run makes every step on the same texts; the mean of their gradients is the same to the bit.
    """
    optimizer = torch.optim.AdamW(trained, lr=min(learning_rate, LARGEST_RATE), weight_decay=0.0)
    try:
        for step in range(1, config.max_steps + 1):
            optimizer.zero_grad()
            kl = loss.backward(step - 1, 1.0, torch.Tensor.backward)
            ranks.average(one.grad for one in trained if one.grad is not None)
            nn.utils.clip_grad_norm_(trained, MAX_GRAD_NORM)
            optimizer.step()
            if watch(Progress(step, config.max_steps, loss=float(kl), learning_rate=learning_rate)):
                return step
        return config.max_steps
    finally:
        optimizer.zero_grad()
