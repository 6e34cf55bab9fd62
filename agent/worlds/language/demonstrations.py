"""Demonstrations under a language model: their likelihood, and where it is sure of something else.

Axes: R rows (one a token of an answer, of all answers in turn), C of them in a chunk, V words, H hidden, S sequences.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from perdure.agent.worlds.language.base_texts import BaseTexts, forward
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.fit import positions_of
from perdure.agent.worlds.language.texts import padded
from perdure.agent.worlds.losses import confident_conflicts, entropy_weights
from perdure.budget.estimate import Estimate, Group, per_token
from perdure.curriculum.task import Item

TOP_K = 20
"""Likeliest tokens that count in the entropy, as in EAFT (arXiv 2601.02151)."""


def conflicts_of(base: BaseTexts, items: Sequence[Item]) -> Estimate | None:
    """See `World.conflicts`; `base` knows the policy and how its logits are made. One forward pass a demonstration."""

    def conflicting(log_CV: Tensor) -> Tensor:
        return confident_conflicts(log_CV, entropy_weights(log_CV, top_k=TOP_K))

    parts = _written(base, items, conflicting)
    return per_token([Group(tuple(float(one.sum()) for one in parts), tuple(map(len, parts)))]) if parts else None


def surprisals_of(base: BaseTexts, items: Sequence[Item]) -> list[float]:
    """See `World.kl_from_writer`: negative log-likelihoods, those of shorter texts first."""
    return [-float(one.double().sum()) for one in _written(base, items, lambda log_CV: log_CV)]


@torch.no_grad()
def _written(base: BaseTexts, items: Sequence[Item], of: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """A figure of every token that was written, by demonstration, the shortest text first; nothing where none is.

    Texts beyond the model's positions, which training cuts off, are left out. `of` maps log-probabilities (C, V) to the
    figure of every word that could have been written.
    """
    tokenizer, limit = base.policy.tokenizer, positions_of(base.policy.model) or math.inf
    written = [encode_demonstration(tokenizer, item) for item in items if item.demonstration is not None]
    written = sorted((one for one in written if one[1] < len(one[0]) <= limit), key=lambda one: len(one[0]))
    if not written:
        return []
    texts = padded([ids for ids, _ in written], [start for _, start in written], tokenizer.pad_token_id)
    chosen_R = torch.tensor([token for ids, start in written for token in ids[start:]])
    found = []
    with base.policy.inference_mode():
        for hidden_RH, rows in forward(base.policy, texts, plain=bool(base.head)):
            for part in torch.split(torch.arange(len(hidden_RH)), base.chunk_rows):
                figures_CV = of(base.policy_logits(hidden_RH[part]).float().log_softmax(-1))
                found.append(figures_CV.gather(-1, chosen_R[rows][part, None].to(figures_CV.device))[:, 0].cpu())
    return list(torch.split(torch.cat(found), texts.rows_S))
