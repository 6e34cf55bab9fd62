"""The continuations of a context, as the choices of an item, scored from one pass over the context.

lm-eval runs the context once a continuation, unless those are of one token each. Here it is run once
(`eval/shared_prefix.py`) and every continuation goes on from its keys and values. The sums are the same in another
order: log-probabilities agree to rounding.

Axes: B rows, P tokens of the longest context, T of the longest continuation, V words.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from perdure.eval.shared_prefix import continued, prefilled, takes_positions
from perdure.eval.unwrapped import unwrapped

LEAST_SAVED = 0.25
"""The share of its tokens that a context run once must save, so that its second pass pays."""

Request = tuple[Any, list[int], list[int]]
"""What is asked, as lm-eval names it, and the tokens of the context and of the continuation."""


def groups(requests: Sequence[Request], max_length: int) -> list[list[int]]:
    """The places of the requests of each context that is worth running once, the longest contexts first.

    None of them is a context that would be cut to the model's `max_length` tokens, nor one with a continuation that has
    no token of its own, which lm-eval refuses: a probability of 1 would make it the answer.
    """
    by_context = sorted(range(len(requests)), key=lambda place: requests[place][1])
    found = [list(places) for _, places in groupby(by_context, key=lambda place: requests[place][1])]
    chosen = [places for places in found if _pays([requests[place] for place in places], max_length)]
    return sorted(chosen, key=lambda places: -max(sum(map(len, requests[place][1:])) for place in places))


def _pays(requests: Sequence[Request], max_length: int) -> bool:
    context, inputs = requests[0][1], {tuple(request[2][:-1]) for request in requests}
    whole = all(request[2] for request in requests)
    longest = len(context) + max(map(len, inputs))
    saved = (len(inputs) - 1) * (len(context) - 1)
    return whole and longest <= max_length and saved >= LEAST_SAVED * sum(len(context) + len(one) for one in inputs)


def batches(groups: Sequence[list[int]], rows: int) -> Iterator[list[int]]:
    """Whole groups together, of at most so many rows unless one group has more."""
    batch: list[int] = []
    for group in groups:
        if batch and len(batch) + len(group) > rows:
            yield batch
            batch = []
        batch = batch + group
    if batch:
        yield batch


def log_likelihoods(
    model: Any, requests: Sequence[Request], softmax_dtype: torch.dtype | None = None
) -> list[tuple[float, bool]]:
    """Each continuation's log-probability in nats, and whether it is the greedy one; some contexts must be alike."""
    device = model.device
    prompt_BP, prompt_mask_BP = (rows.to(device) for rows in _padded([ids for _, ids, _ in requests], left=True))
    target_BT, target_mask_BT = (rows.to(device) for rows in _padded([ids for _, _, ids in requests]))
    inner = unwrapped(model)
    positions = takes_positions(inner)
    cache = prefilled(model, inner.config, prompt_BP, prompt_mask_BP, positions=positions)
    if cache is None:
        raise ValueError("no two contexts are alike")
    mask_BX = torch.cat([prompt_mask_BP, target_mask_BT[:, 1:]], dim=1)
    more = {"position_ids": (mask_BX.cumsum(-1) - 1)[:, prompt_BP.shape[1] - 1 :]} if positions else {}
    logits_BTV = model(**continued(cache, prompt_BP, target_BT[:, :-1], mask_BX), **more).logits
    log_probs_BTV = torch.log_softmax(logits_BTV, dim=-1, dtype=softmax_dtype)
    of_target_BT = log_probs_BTV.gather(-1, target_BT[..., None]).squeeze(-1)
    greedy_B = ((logits_BTV.argmax(-1) == target_BT) | (target_mask_BT == 0)).all(-1)
    total_B = of_target_BT.masked_fill(target_mask_BT == 0, 0.0).sum(-1)  # a product with 0 keeps -inf
    return list(zip(total_B.tolist(), greedy_B.tolist(), strict=True))


def _padded(rows: Sequence[list[int]], *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Token ids, padded by 0, and mask, each [B, the longest]."""
    width = max(map(len, rows))
    blank = [width - len(row) for row in rows]
    before = [size if left else 0 for size in blank]
    after = [size - some for size, some in zip(blank, before, strict=True)]
    parts = list(zip(before, rows, after, strict=True))
    ids = [[0] * head + row + [0] * tail for head, row, tail in parts]
    mask = [[0] * head + [1] * len(row) + [0] * tail for head, row, tail in parts]
    return torch.tensor(ids), torch.tensor(mask)
