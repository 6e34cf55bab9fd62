"""The modifier `cpo`: a penalty on moving the weights that matter most for what was known (see `terms.Protected`)."""

from dataclasses import replace

from torch import Tensor

from perdure.agent.worlds.terms import most_important
from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.fisher import diagonal_fisher
from perdure.agent.worlds.vision.methods.ewc import remembered
from perdure.agent.worlds.vision.mlp import Params, member, stack
from perdure.agent.worlds.vision.task_tensors import LossTerm, Rows
from perdure.curriculum.settings import Cpo
from perdure.curriculum.worlds.methods import Method


def modify(method: Method, settings: Cpo, stacked: Params, changes: Changes) -> Changes:
    """The penalty around the weights as they are now."""
    assert settings.cpo_lambda is not None, "a default stands in the method's row"
    inputs_NF = remembered(changes.tensors, settings.fisher_items)
    masks = stack(
        [protected(member(stacked, index), inputs_NF, settings.protected) for index in range(_models(stacked))]
    )
    return replace(changes, terms=(*changes.terms, movement(stacked, masks, settings.cpo_lambda)))


def protected(model: Params, inputs_NF: Tensor, share: float) -> Params:
    """1 at the protected weights of one model, else 0."""
    return {name: most_important(one, share).float() for name, one in diagonal_fisher(model, inputs_NF).items()}


def movement(stacked: Params, masks: Params, weight: float) -> LossTerm:
    """`weight` times the mean of |θ_i - θ*_i| over the protected weights of each model, θ* as they are now."""
    start = {name: tensor.detach().clone() for name, tensor in stacked.items()}
    counts_M = sum(mask.flatten(1).sum(1) for mask in masks.values()).clamp(min=1)  # type: ignore[union-attr]

    def term(leaves: Params, step: int, log_MBC: Tensor, rows: Rows) -> Tensor:
        parts = [(masks[name] * (one - start[name]).abs()).flatten(1).sum(1) for name, one in leaves.items()]
        return weight * sum(parts[1:], parts[0]) / counts_M

    return term


def _models(stacked: Params) -> int:
    return len(next(iter(stacked.values())))
