"""Rows with the same prompt compute it once: its keys and values are cached, and each row goes on from them.

A group of G completions holds its prompt G times. Each distinct prompt but for its last token is run once, the cache of
keys and values is repeated for the rows, and only the last token of the prompt and what follows it are run row by row.
Gradients flow through the cache. The sums are those of unshared rows in another order: figures agree to rounding, not
to the bit.

Axes: B rows, D distinct prompts, P tokens of the longest prompt, T of the longest completion.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from perdure.eval.unwrapped import unwrapped

_KINDS = (DynamicLayer, DynamicSlidingWindowLayer)
_BY_DISTANCE = ("bloom", "mpt")
"""Models that are told no positions and need none: a bias of attention falls with the distance (ALiBi)."""


def unshared(model: Any) -> str | None:
    """Why prompts cannot be shared by this causal model, in the mode in which it is now; `None` where they can."""
    inner = unwrapped(model)
    config, kind = inner.config.get_text_config(decoder=True), inner.config.model_type
    if inner.config.is_encoder_decoder or not _has_cache(inner):
        return f"{kind} has no dynamic cache of keys and values"
    if _counts_padding(inner, kind):
        return f"{kind} counts positions by itself"
    if getattr(config, "num_kv_shared_layers", 0):
        return f"layers of {kind} take their keys and values from each other"
    if any(type(layer) not in _KINDS for layer in DynamicCache(config=config).layers):
        return f"not all layers of {kind} have keys and values"
    return _unshared_in_training(model, inner, config) if model.training else None


def _unshared_in_training(model: Any, inner: Any, config: Any) -> str | None:
    if inner.is_activation_checkpointing:
        return "under activation checkpointing there is no cache"
    return "each row has a dropout of its own" if _drops_out(model, config) else None


def _has_cache(inner: Any) -> bool:
    return "past_key_values" in signature(inner.forward).parameters and inner._supports_default_dynamic_cache()


def _counts_padding(inner: Any, kind: str) -> bool:
    """Whether padding on the left moves its tokens, as in BART and RoFormer, or positions begin late, as in RoBERTa."""
    late = (
        isinstance(module, nn.Embedding) and module.padding_idx is not None
        for name, module in inner.named_modules()
        if name.endswith("position_embeddings")
    )
    return (not takes_positions(inner) and kind not in _BY_DISTANCE) or any(late)


def _drops_out(model: Any, config: Any) -> bool:
    rates = (value for name, value in vars(config).items() if "drop" in name and isinstance(value, int | float))
    return any(rates) or any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())


def prefilled(
    call: Callable[..., Any], config: Any, prompt_BP: Tensor, mask_BP: Tensor, *, positions: bool = False
) -> DynamicCache | None:
    """The cache of each row's left-padded prompt but for its last token; `None` where no two rows have the same.

    `call` is the causal model of this `config`, or a function that stands for it. With `positions` padding is not
    counted in a token's position.
    """
    distinct_DP, row_B = torch.unique(prompt_BP.masked_fill(mask_BP == 0, -1), dim=0, return_inverse=True)
    if prompt_BP.shape[1] < 2 or len(distinct_DP) == len(prompt_BP):
        return None
    mask_DP = (distinct_DP[:, :-1] >= 0).long()
    cache = DynamicCache(config=config)
    more = {"position_ids": (mask_DP.cumsum(-1) - 1).clamp(min=0)} if positions else {}
    call(
        input_ids=distinct_DP[:, :-1].clamp(min=0),
        attention_mask=mask_DP,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        **more,
    )
    for layer in cache.layers:
        if layer.is_initialized:
            layer.keys, layer.values = (_repeated(states, row_B) for states in (layer.keys, layer.values))
    return cache


def _repeated(states_D: Tensor, row_B: Tensor) -> Tensor:
    """`states_D[row_B]`, but each row reads a copy of its own, so that gradients are added up in one order."""
    uses_BD = nn.functional.one_hot(row_B, len(states_D))
    place_B = (uses_BD.cumsum(0) - 1).gather(1, row_B[:, None]).squeeze(1)
    copies_DC = states_D.unsqueeze(1).expand(-1, int(place_B.max()) + 1, *states_D.shape[1:])
    return copies_DC[row_B, place_B]


def takes_positions(inner: Any) -> bool:
    """Whether this causal model can be told the positions of its tokens."""
    return "position_ids" in signature(inner.forward).parameters


def generate(model: Any, prompt_BP: Tensor, mask_BP: Tensor, generation_config: Any, *, share: bool) -> Tensor:
    """`model.generate` from left-padded prompts: [B, P + T]. With `share` each is computed once, where that can be."""
    more = {}
    if share and unshared(model) is None:
        inner = unwrapped(model)
        cache = prefilled(model, inner.config, prompt_BP, mask_BP, positions=takes_positions(inner))
        more = {} if cache is None else {"past_key_values": cache}
    rows_BT: Tensor = model.generate(
        input_ids=prompt_BP, attention_mask=mask_BP, generation_config=generation_config, **more
    )
    return rows_BT


def continued(cache: DynamicCache, prompt_BP: Tensor, completion_BT: Tensor, mask_BX: Tensor) -> dict[str, Any]:
    """The arguments of a causal model that score the completions (B, T) after their cached prompts.

    `mask_BX` is the attention mask of prompt and completion, (B, P + T).
    """
    ids_BT = torch.cat([prompt_BP[:, -1:], completion_BT], dim=1)
    return {"input_ids": ids_BT, "attention_mask": mask_BX, "past_key_values": cache, "use_cache": False}
