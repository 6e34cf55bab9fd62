"""The writer's tokens that a language model finds improbable while it is sure of others."""

from collections.abc import Sequence

import torch

from perdure.agent.worlds.language.base_texts import BaseTexts, forward
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.texts import padded
from perdure.agent.worlds.losses import confident_conflicts, entropy_weights
from perdure.budget.estimate import Estimate, Group, per_token
from perdure.curriculum.task import Item

TOP_K = 20
"""Likeliest tokens that count in the entropy, as in EAFT (arXiv 2601.02151)."""


@torch.no_grad()
def conflicts_of(base: BaseTexts, items: Sequence[Item]) -> Estimate | None:
    """See `World.conflicts`; `base` knows the policy and how its logits are made. One forward pass a demonstration."""
    tokenizer = base.policy.tokenizer
    written = [encode_demonstration(tokenizer, item) for item in items if item.demonstration is not None]
    written = sorted(((ids, start) for ids, start in written if len(ids) > start), key=lambda one: len(one[0]))
    if not written:
        return None
    texts = padded([ids for ids, _ in written], [start for _, start in written], tokenizer.pad_token_id)
    chosen_R = torch.tensor([token for ids, start in written for token in ids[start:]])
    found = []
    with base.policy.inference_mode():
        for hidden_RH, rows in forward(base.policy, texts, plain=bool(base.head)):
            for part in torch.split(torch.arange(len(hidden_RH)), base.chunk_rows):
                log_CV = base.policy_logits(hidden_RH[part]).float().log_softmax(-1)
                mask_CV = confident_conflicts(log_CV, entropy_weights(log_CV, top_k=TOP_K))
                found.append(mask_CV.gather(-1, chosen_R[rows][part, None].to(mask_CV.device))[:, 0].cpu())
    counts = [int(one.sum()) for one in torch.split(torch.cat(found), texts.rows_S)]
    return per_token([Group(tuple(map(float, counts)), tuple(texts.rows_S))])
