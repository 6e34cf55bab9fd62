"""`token_weight: entropy`: the entropy of the policy weighs each token of SFT (EAFT, arXiv 2601.02151).

    L = - sum_t h_t ln π(y_t) / tokens,    h_t = H(top-k of π at t, made to sum to 1) / ln k,    no gradient through h

Where the policy is sure of its next token the weight is near 0, so that a demonstration which contradicts it there has
little effect; there SFT forgets most. Where it is unsure the token is learned as in SFT. k is 20, as in the paper.

Possible departure: here the k probabilities are made to sum to 1 before their entropy is computed; whether the paper
does so could not be confirmed. The divisor is the number of tokens, as in SFT, so the weights lower the effective rate;
the logits of a micro-batch's answers are held whole, which TRL's own SFT avoids: lower `per_device_train_batch_size`
where the vocabulary is large.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from perdure.agent.worlds.language.trl.sft_trainer import SftTrainer
from perdure.agent.worlds.losses import entropy_weights
from perdure.budget import ranks


class EaftTrainer(SftTrainer):
    """SFT with a weight for each token."""

    top_k: int

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of one micro-batch, divided by the answer tokens of the whole step."""
        assert not return_outputs, "nothing here evaluates through the trainer"
        labels_BT = inputs["labels"]
        others = {name: value for name, value in inputs.items() if name not in ("labels", "use_cache")}
        logits_BTV = model(**others, use_cache=False).logits
        answers_BT = labels_BT[:, 1:] != -100
        logits_NV, labels_N = logits_BTV[:, :-1][answers_BT], labels_BT[:, 1:][answers_BT]
        tokens = len(labels_N) if num_items_in_batch is None else num_items_in_batch
        loss = eaft_loss(logits_NV, labels_N, top_k=self.top_k, tokens=tokens)
        of_all = num_items_in_batch is not None and self.args.average_tokens_across_devices
        return loss * (ranks.count() if of_all else 1)  # the tokens of all processes, whose gradients are averaged


def eaft_loss(logits_NV: Tensor, labels_N: Tensor, *, top_k: int, tokens: Any) -> Tensor:
    """Cross-entropy of N tokens, each times its weight, summed and divided by `tokens`; a scalar."""
    losses_N = nn.functional.cross_entropy(logits_NV.float(), labels_N, reduction="none")
    return (entropy_weights(logits_NV, top_k=top_k) * losses_N).sum() / torch.as_tensor(tokens).clamp(min=1)


def weighing(top_k: int) -> Callable[..., EaftTrainer]:
    """A constructor of `EaftTrainer` with this `top_k`."""

    def make(**arguments: Any) -> EaftTrainer:
        trainer = EaftTrainer(**arguments)
        trainer.top_k = top_k
        return trainer

    return make
