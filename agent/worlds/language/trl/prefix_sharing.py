"""Sampling and scoring of a GRPO trainer's rows with each prompt computed once (`shared_prefix.py`).

Axes: B rows, X tokens of prompt and completion, T of the completion.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from trl.models import unwrap_model_for_generation

from perdure.agent.worlds.language.generation import pad_left, up_to_end
from perdure.eval import shared_prefix

Scores = tuple[Tensor, Tensor | None, None]
"""Log-probabilities of the completions' tokens (B, T), entropies at them where they are asked for, no router loss."""


def sampled(trainer: Any, prompts: list[list[int]]) -> list[list[int]]:
    """One completion a prompt, with its end-of-turn token if it has one."""
    ids_BP, mask_BP = (
        tensor.to(trainer.accelerator.device) for tensor in pad_left(prompts, trainer._tokenizer.pad_token_id)
    )
    unwrapping = unwrap_model_for_generation(
        trainer.model_wrapped,
        trainer.accelerator,
        generation_kwargs=trainer.generation_kwargs,
        gradient_checkpointing_kwargs=trainer.args.gradient_checkpointing_kwargs,
    )
    with unwrapping as model, torch.no_grad():
        share = trainer.prefix_caching
        rows_BX = shared_prefix.generate(model, ids_BP, mask_BP, trainer.generation_config, share=share)
    return [up_to_end(row, trainer.eos_token_ids) for row in rows_BX[:, ids_BP.shape[1] :].tolist()]


def scored(
    trainer: Any,
    own: Callable[..., Any],
    model: Any,
    ids_BX: Tensor,
    mask_BX: Tensor,
    length: int,
    batch_size: int | None = None,
    compute_entropy: bool = False,
    **more: Any,
) -> Any:
    """What `own`, TRL's `_get_per_token_logps_and_entropies`, gives; no gradient for `trainer.idle_B`.

    Rows with pictures, and a router's loss, are left to `own`.
    """
    if any(value is not None and value is not False for value in more.values()):
        return own(model, ids_BX, mask_BX, length, batch_size, compute_entropy, **more)
    inner = trainer.accelerator.unwrap_model(model)
    share = trainer.prefix_caching and shared_prefix.unshared(inner) is None

    def part(rows_R: Tensor) -> Scores:
        if not share:
            return own(model, ids_BX[rows_R], mask_BX[rows_R], length, batch_size, compute_entropy)  # type: ignore[no-any-return]
        chunks = torch.split(rows_R, batch_size or len(rows_R))
        found = [_chunk(own, model, inner, ids_BX[some], mask_BX[some], length, compute_entropy) for some in chunks]
        return _joined(found)

    rows_B = torch.arange(len(ids_BX), device=ids_BX.device)
    idle_B = trainer.idle_B if torch.is_grad_enabled() else None
    if idle_B is None or not bool(idle_B.any()):
        return part(rows_B)
    live_R, idle_R = rows_B[~idle_B], rows_B[idle_B]
    with torch.no_grad():
        found = [part(idle_R)]
    if len(live_R):
        found.append(part(live_R))
    return _joined(found, torch.cat([idle_R, live_R]).argsort())


def _chunk(
    own: Callable[..., Any], model: Any, inner: Any, ids_BX: Tensor, mask_BX: Tensor, length: int, entropy: bool
) -> Scores:
    """The scores of some rows; the rows of a prompt go on from one cache, which has gradients too."""
    prompt_BP, completion_BT = ids_BX[:, :-length], ids_BX[:, -length:]
    cache = shared_prefix.prefilled(inner, inner.config, prompt_BP, mask_BX[:, :-length])
    if cache is None:
        return own(model, ids_BX, mask_BX, length, None, entropy)  # type: ignore[no-any-return]
    inputs = shared_prefix.continued(cache, prompt_BP, completion_BT, mask_BX)
    labels_BT = inputs["input_ids"].masked_fill(mask_BX[:, -length - 1 :] == 0, -100)
    found = model(**inputs, labels=labels_BT, fused_lm_head=True)
    return found.log_probs, found.entropy if entropy else None, None


def _joined(parts: list[Scores], order: Tensor | None = None) -> Scores:
    def join(place: int) -> Tensor | None:
        tensors = [part[place] for part in parts]
        if any(tensor is None for tensor in tensors):
            return None
        whole = torch.cat(tensors)  # type: ignore[arg-type]
        return whole if order is None else whole[order]

    return join(0), join(1), None  # type: ignore[return-value]


def no_gradient(model: Any) -> Tensor:
    """0 with a gradient of 0 for everything that is trained, so that the optimiser steps as it would have."""
    return torch.stack([tensor.sum() * 0.0 for tensor in model.parameters() if tensor.requires_grad]).sum()
