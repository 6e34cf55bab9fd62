"""Recovery: distil from the original base until the policy is back within its cap.

AdamW on KL(π0 ‖ π) alone, exact over the vocabulary, on texts of the base on general prompts. After "On-Policy
Distillation" (Thinking Machines, 2025), which restores what a model could do before it was fine-tuned. Departures: the
texts are the base's and the KL is forward, as in the budget; there they are the student's, and the KL is reverse.
"""

from collections.abc import Sequence

import torch

from perdure.agent.worlds.contract import Progress, Watch
from perdure.agent.worlds.language.base_loss import Base
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.config import RecoverConfig, Unit

MAX_GRAD_NORM = 1.0
"""As in the methods (see `agent/worlds/language/trl/config.py`)."""


def recover(
    policy: LanguagePolicy,
    groups: Sequence[str],
    unit: Unit,
    config: RecoverConfig,
    learning_rate: float,
    *,
    seed: int,
    watch: Watch,
) -> int:
    """See `World.recover`. The loss that `watch` gets is the KL in nats a `unit` before the step."""
    base: Base = policy.base
    loss = base.loss(groups, unit=unit, num_texts=config.num_prompts, seed=seed)
    trained = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.0)
    try:
        for step in range(1, config.max_steps + 1):
            optimizer.zero_grad()
            kl = loss.backward(step - 1, 1.0, torch.Tensor.backward)
            torch.nn.utils.clip_grad_norm_(trained, MAX_GRAD_NORM)
            optimizer.step()
            if watch(Progress(step, config.max_steps, loss=float(kl), learning_rate=learning_rate)):
                return step
        return config.max_steps
    finally:
        optimizer.zero_grad()
