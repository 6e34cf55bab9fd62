"""The modifier `low_rank`: updates of low rank for every weight matrix (LoRA, arXiv 2106.09685), merged at every step.

    W = W0 + (lora_alpha / r) · B A

Each linear layer but the output head is trained through its factors, from the stage's own start W0; embeddings, norms
and biases stay as they are. The merged weights are written back after every step, so that the monitor, snapshots,
penalties and checkpoints see ordinary weights, and every stage can add an update of its own.

Departure: it saves no memory, since the gradient of W is computed whole. To train an adapter over a frozen base, set
`model.lora`, with which every objective is LoRA already. The factors' gradients are clipped, as with an adapter.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.changes import Changes
from perdure.agent.worlds.low_rank_adamw import LowRankAdamW
from perdure.budget.errors import ConfigError
from perdure.curriculum.settings import LowRank

PURPOSE = "lora"
"""The purpose from which its seed is derived; changing it changes results."""


def modify(job: UpdateJob, settings: LowRank, changes: Changes) -> Changes:
    """`LowRankAdamW` in place of TRL's optimiser.

    Raises:
        ConfigError: the policy is an adapter already; later, another optimiser than AdamW is asked for.
    """
    if hasattr(job.policy.model, "peft_config"):
        raise ConfigError(f"method `{job.method.name}`: with `model.lora` the policy is a LoRA adapter already")

    def make(config: Any) -> LowRankAdamW:
        optimizer = build_optimizer(job.policy.model, settings, config, seed=derive(job.seed, PURPOSE))
        config.max_grad_norm = 0.0  # the optimiser clips, as it is the factors' gradient that counts
        return optimizer

    return replace(changes, optimizer=make)


def build_optimizer(model: nn.Module, settings: LowRank, args: Any, *, seed: int) -> LowRankAdamW:
    """The optimiser of the model's weight matrices as they are now.

    Raises:
        ConfigError: another optimiser than AdamW is asked for.
    """
    if "adamw_torch" not in str(getattr(args.optim, "value", args.optim)):
        raise ConfigError(f"`low_rank` trains by AdamW; trl.optim cannot be {args.optim!r}")
    return LowRankAdamW(
        matrices(model),
        rank=settings.r,
        alpha=settings.lora_alpha,
        max_grad_norm=args.max_grad_norm or 0.0,
        seed=seed,
        lr=args.learning_rate,
        betas=(args.adam_beta1, args.adam_beta2),
        eps=args.adam_epsilon,
        weight_decay=args.weight_decay,
    )


def matrices(model: Any) -> dict[str, Tensor]:
    """The weights of all linear layers but the output head, which may be the embedding's own."""
    head = model.get_output_embeddings()
    return {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and module.weight.requires_grad
    }
