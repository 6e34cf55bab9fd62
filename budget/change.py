"""Changes of weights and activations: predictors of forgetting other than divergences. Pure functions of tensors.

Axes: M models side by side, N items, D features. Weights are dicts of tensors with a leading axis M; the base may have
M = 1 for all models. Results have shape (M,). RL's Razor (Shenfeld, Pari, Agrawal 2025, section on alternative
predictors) names these measures without definitions; each docstring gives the one used here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOURS = 10
RANK_TOLERANCE = 0.01
"""Singular values below this share of the largest do not count towards the rank."""


@dataclass(frozen=True)
class WeightChange:
    """Distances of the weights of M models from the base. Each of shape (M,); `fisher_M` only if a Fisher is given."""

    l1_M: Tensor
    l2_M: Tensor
    fisher_M: Tensor | None
    spectral_M: Tensor
    sparsity_M: Tensor
    rank_M: Tensor


@dataclass(frozen=True)
class ActivationChange:
    """Distances of the activations of M models on N items. Each of shape (M,); CKNNA is an alignment, 1 if unmoved."""

    l1_M: Tensor
    l2_M: Tensor
    cknna_M: Tensor


def weight_change(
    base: Mapping[str, Tensor], policy: Mapping[str, Tensor], fisher: Mapping[str, Tensor] | None = None
) -> WeightChange:
    """All changes of the weights, with δ = policy - base over all entries of all tensors.

    - L1: Σ |δ|. L2: sqrt(Σ δ²). Fisher-weighted: sqrt(Σ F δ²), F the diagonal of the base's Fisher information. Were F
      diagonal, this would be, to second order, the root of twice the KL that the update causes on the data of F.
    - spectral and rank: means over the weight matrices (the tensors of two axes or more; see `spectrum`).
    - sparsity: see `update_sparsity`.

    Args:
        base, policy: tensors (1 or M, …) and (M, …) by name.
        fisher: as the base; entries ≥ 0.

    Raises:
        ValueError: names or shapes differ, there are no tensors, or none is a matrix.
    """
    _check_weights(base, policy)
    if fisher is not None:
        _check_weights(fisher, policy)
    change = {name: policy[name].float() - base[name].float() for name in policy}
    squares = {name: delta**2 for name, delta in change.items()}
    spectra = [spectrum(delta.flatten(2)) for delta in change.values() if delta.dim() > 2]
    if not spectra:
        raise ValueError("the weights contain no matrix, so the update has no spectrum and no rank")
    return WeightChange(
        l1_M=_total({name: delta.abs() for name, delta in change.items()}),
        l2_M=_total(squares).sqrt(),
        fisher_M=None if fisher is None else _total({n: fisher[n].float() * squares[n] for n in squares}).sqrt(),
        spectral_M=torch.stack([largest_M for largest_M, _ in spectra]).mean(0),
        sparsity_M=update_sparsity(base, policy),
        rank_M=torch.stack([rank_M for _, rank_M in spectra]).mean(0),
    )


def update_sparsity(base: Mapping[str, Tensor], policy: Mapping[str, Tensor]) -> Tensor:
    """The share of entries that equal the base's when both are rounded to bfloat16. Shape (M,).

    An update in single precision changes nearly every entry. The sparse updates reported for RL are of models kept in
    bfloat16, which loses a change of less than 0.2 to 0.4 % of an entry.

    Raises:
        ValueError: names or shapes differ, or there are no tensors.
    """
    _check_weights(base, policy)
    same = {name: (policy[name].bfloat16() == base[name].bfloat16()).float() for name in policy}
    return _total(same) / sum(tensor[0].numel() for tensor in policy.values())


def spectrum(change_MIO: Tensor, tolerance: float = RANK_TOLERANCE) -> tuple[Tensor, Tensor]:
    """The largest singular value of each of M matrices, and how many reach `tolerance` times it. Each (M,).

    Computed from the eigenvalues of the smaller Gram matrix: several times faster than a singular value decomposition,
    but values below about 3e-4 of the largest are lost in single precision. A matrix of zeros has rank 0.

    Raises:
        ValueError: not of shape (M, I, O), or a tolerance below that precision.
    """
    if change_MIO.dim() != 3:
        raise ValueError(f"changes must be of shape (M, I, O), got {tuple(change_MIO.shape)}")
    if not 1e-3 <= tolerance < 1:
        raise ValueError(f"a tolerance from 1e-3 up to 1, got {tolerance}")
    change_MIO = change_MIO.float()
    scale_M = change_MIO.abs().amax((1, 2)).clamp_min(torch.finfo(torch.float32).tiny)
    scaled_MIO = change_MIO / scale_M[:, None, None]  # a square of a tiny change would be zero
    wide_MKI = scaled_MIO if scaled_MIO.shape[1] < scaled_MIO.shape[2] else scaled_MIO.mT
    squares_MK = torch.linalg.eigvalsh(wide_MKI @ wide_MKI.mT)
    largest_M = squares_MK[:, -1].clamp_min(0)
    counted_MK = (squares_MK >= tolerance**2 * largest_M[:, None]) & (squares_MK > 0)
    return largest_M.sqrt() * scale_M, counted_MK.sum(1).float()


def activation_change(base_ND: Tensor, policy_MND: Tensor, neighbours: int = NEIGHBOURS) -> ActivationChange:
    """Changes of a layer's activations on the same N items: means over items of Σ_d |δ| and sqrt(Σ_d δ²), and CKNNA.

    Raises:
        ValueError: shapes are not (N, D) and (M, N, D), or N ≤ neighbours.
    """
    _check_activations(base_ND, policy_MND)
    change_MND = policy_MND.float() - base_ND.float()
    return ActivationChange(
        l1_M=change_MND.abs().sum(-1).mean(-1),
        l2_M=change_MND.norm(dim=-1).mean(-1),
        cknna_M=cknna(base_ND, policy_MND, neighbours),
    )


def cknna(base_ND: Tensor, policy_MND: Tensor, neighbours: int = NEIGHBOURS) -> Tensor:
    """Centred kernel nearest-neighbour alignment of Huh, Cheung, Wang, Isola 2024 (arXiv 2405.07987). Shape (M,).

    K̄ and L̄ are the two models' inner products of items, less each row's mean; α(i, j) = 1 if j ≠ i is among the k
    nearest neighbours of i (by inner product) in *both* models. `A(K, L) = Σ_ij α(i, j) K̄_ij L̄_ij`, and CKNNA =
    A(K, L) / sqrt(A(K, K) A(L, L)): 1 for the same activations up to rotation and scale, 0 if no neighbour is shared.
    Activations are scaled to length 1 first, as the authors do.

    Departs from the authors' code, which centres the masked kernels as an unbiased HSIC; the formula is the paper's.

    Raises:
        ValueError: shapes are not (N, D) and (M, N, D), or N ≤ neighbours.
    """
    _check_activations(base_ND, policy_MND)
    items = len(base_ND)
    if not 1 <= neighbours < items:
        raise ValueError(f"{neighbours} neighbours need more than {items} items")
    base_NN, base_near_NN = _kernel(base_ND, neighbours)
    own = (base_NN.square() * base_near_NN).sum()
    found = []
    for policy_ND in policy_MND:
        policy_NN, near_NN = _kernel(policy_ND, neighbours)
        shared = (base_NN * policy_NN * (near_NN & base_near_NN)).sum()
        size = (own * (policy_NN.square() * near_NN).sum()).sqrt()
        found.append(torch.where(size > 0, shared / size, torch.zeros_like(size)))
    return torch.stack(found)


def _kernel(activations_ND: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """Inner products less their row means, and the mask of each row's nearest neighbours. Each (N, N)."""
    unit_ND = torch.nn.functional.normalize(activations_ND.float(), dim=-1)
    products_NN = unit_ND @ unit_ND.T
    others_NN = products_NN.clone().fill_diagonal_(-torch.inf)
    near_NN = torch.zeros_like(products_NN, dtype=torch.bool)
    near_NN.scatter_(1, others_NN.topk(neighbours, dim=1).indices, value=True)
    return products_NN - products_NN.mean(1, keepdim=True), near_NN


def _total(tensors: Mapping[str, Tensor]) -> Tensor:
    """The sum over all entries of all tensors. Shape (M,)."""
    return torch.stack([tensor.flatten(1).sum(1) for tensor in tensors.values()]).sum(0)


def _check_weights(base: Mapping[str, Tensor], policy: Mapping[str, Tensor]) -> None:
    if not policy or base.keys() != policy.keys():
        raise ValueError(f"weights must have the same names, got {sorted(base)} and {sorted(policy)}")
    models = next(iter(policy.values())).shape[0]
    for name, tensor in policy.items():
        if tensor.shape[:1] != (models,) or base[name].shape not in (tensor.shape, (1, *tensor.shape[1:])):
            raise ValueError(
                f"{name} must be (M, …) and its base (1 or M, …), got {tuple(tensor.shape)} and "
                f"{tuple(base[name].shape)}"
            )


def _check_activations(base_ND: Tensor, policy_MND: Tensor) -> None:
    if base_ND.dim() != 2 or policy_MND.dim() != 3 or policy_MND.shape[1:] != base_ND.shape:
        raise ValueError(
            f"activations must be (N, D) and (M, N, D), got {tuple(base_ND.shape)} and {tuple(policy_MND.shape)}"
        )
