"""Everything that is measured of a stack of models at a checkpoint: scores, divergences, and rival predictors.

Axes: M models, N images, C classes, H units. Figures are plain floats, one dictionary a model, under the names that
`perdure law` knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from perdure.agent.worlds.vision.fisher import diagonal_fisher
from perdure.agent.worlds.vision.mlp import Params, member, shared_hidden, stacked_head
from perdure.agent.worlds.vision.tensor_cache import EvalSet
from perdure.agent.worlds.vision.training import log_probabilities
from perdure.budget.change import NEIGHBOURS, activation_change, weight_change
from perdure.budget.divergence import divergences, expected_log_ratio, kl_base_to_policy
from perdure.budget.law.points import GENERIC_KL

Figures = dict[str, float]

ACTIVATION_ITEMS = 500
"""Images on which activations are compared: neighbours among N items take N² inner products."""


@dataclass(frozen=True)
class EvalOutputs:
    """The answers of a stack on one evaluation set: log-probabilities (M, N, C) and last hidden units (M, N, H)."""

    log_MNC: Tensor
    units_MNH: Tensor


class Measures:
    """Compares stacks with the base that all their models began as.

    `new` is the held-out part of the task that is learned; the first of `benchmarks` stands for what was known before,
    and its inputs are the "old task's". Without benchmarks there is no forgetting (NaN), and nothing old to look at.
    `known_NF` are inputs of what the base was trained on, for its Fisher information, `generic_NF` those of the generic
    probe. What belongs to the base is computed once, as a stack of one that is expanded where it is compared.
    Accuracies are those of greedy answers, or above temperature 0 the expected ones of sampled answers.
    """

    def __init__(
        self,
        base: Params,
        new: EvalSet,
        benchmarks: Sequence[EvalSet],
        known_NF: Tensor,
        generic_NF: Tensor,
        temperature: float = 0.0,
    ) -> None:
        self._base, self._new, self._benchmarks = base, new, tuple(benchmarks)
        self._generic_NF, self._generic_log_MNC = generic_NF, log_probabilities(base, generic_NF)
        self._temperature = temperature
        self._base_views = {one.name: view(base, one) for one in (new, *benchmarks)}
        self._fisher = {name: tensor[None] for name, tensor in diagonal_fisher(member(base, 0), known_NF).items()}
        self._base_scores = {one.name: self._accuracy(self._base_views[one.name], one) for one in benchmarks}
        self._base_mass_MN = _mass(self._base_views[new.name], new)
        self._base_entropy_MN = _entropy_of_right(self._base_views[new.name], new)

    @torch.no_grad()
    def take(self, stacked: Params, *, changes: bool = True) -> list[Figures]:
        """Every figure of every model of the stack as it is now; NaN for a model whose weights are not finite.

        Without `changes` those of weights and activations are left out.
        """
        finite_M = torch.stack([tensor.isfinite().flatten(1).all(1) for tensor in stacked.values()]).all(0)
        sound = stacked if finite_M.all() else _sound(stacked, self._base, finite_M)
        views = {one.name: view(sound, one) for one in (self._new, *self._benchmarks)}
        columns = self._scores(views) | self._predictors(sound, views, changes)
        table = {
            name: values_M.double().expand(len(finite_M)).where(finite_M, torch.nan).tolist()
            for name, values_M in columns.items()
        }
        return [{name: values[index] for name, values in table.items()} for index in range(len(finite_M))]

    def _scores(self, views: Mapping[str, EvalOutputs]) -> dict[str, Tensor]:
        mass_MN = _mass(views[self._new.name], self._new)
        scores = {one.name: self._accuracy(views[one.name], one) for one in self._benchmarks}
        drops = [self._base_scores[name] - score_M for name, score_M in scores.items()]
        return {
            "accuracy": self._accuracy(views[self._new.name], self._new),
            "mass": mass_MN.mean(-1),
            "base_mass": self._base_mass_MN.mean(-1),
            "base_entropy": self._base_entropy_MN.mean(-1),
            "base_entropy_most": self._new.correct_NC.sum(-1).log().mean()[None],
            "kl_floor": _floor(self._base_views[self._new.name], views[self._new.name], self._new),
            "forgetting": torch.stack(drops).mean(0) if drops else torch.full_like(mass_MN[:, 0], torch.nan),
            **{f"score.{name}": score_M for name, score_M in scores.items()},
            **{f"base_score.{name}": score_M for name, score_M in self._base_scores.items()},
        }

    def _accuracy(self, seen: EvalOutputs, examination: EvalSet) -> Tensor:
        """The share of images that are answered right: shape (M,)."""
        if self._temperature:
            return ((seen.log_MNC / self._temperature).softmax(-1) * examination.correct_NC).sum(-1).mean(-1)
        right_MNC = examination.correct_NC.expand(len(seen.log_MNC), -1, -1)
        return right_MNC.gather(-1, seen.log_MNC.argmax(-1)[..., None]).mean((1, 2))

    def _predictors(self, stacked: Params, views: Mapping[str, EvalOutputs], changes: bool) -> dict[str, Tensor]:
        found = _weights(self._base, stacked, self._fisher) if changes else {}
        inputs = [(self._new.name, ""), *((one.name, "_old") for one in self._benchmarks[:1])]
        for name, suffix in inputs:
            base, now = self._base_views[name], views[name]
            changed = _divergences(base, now) | (_activations(base, now) if changes else {})
            found |= {f"{column}{suffix}": values_M for column, values_M in changed.items()}
        return found | {GENERIC_KL: self._generic_kl(stacked)}

    def _generic_kl(self, stacked: Params) -> Tensor:
        """Forward KL on the generic probe, the mean over its images in nats: shape (M,)."""
        log_MNC = log_probabilities(stacked, self._generic_NF)
        base_log_MNC = self._generic_log_MNC.expand_as(log_MNC)
        return expected_log_ratio(base_log_MNC.exp(), base_log_MNC, log_MNC).mean(-1)


def _sound(stacked: Params, base: Params, finite_M: Tensor) -> Params:
    """The stack with the base in place of the models that are not finite."""
    return {
        name: torch.where(finite_M.view(-1, *[1] * (tensor.dim() - 1)), tensor, base[name])
        for name, tensor in stacked.items()
    }


@torch.no_grad()
def view(stacked: Params, examination: EvalSet) -> EvalOutputs:
    """The log-probabilities of a stack, and its last hidden layer."""
    units_MNH = shared_hidden(stacked, examination.inputs_NF)
    return EvalOutputs(stacked_head(stacked, units_MNH).log_softmax(-1), units_MNH)


def _mass(seen: EvalOutputs, examination: EvalSet) -> Tensor:
    """The probability of a right label: shape (M, N)."""
    return (seen.log_MNC.exp() * examination.correct_NC).sum(-1).clamp(max=1.0)


def _entropy_of_right(seen: EvalOutputs, examination: EvalSet) -> Tensor:
    """The entropy over the right labels alone, in nats: shape (M, N).

    A base that is indifferent among them has the logarithm of their number, one that prefers a label less.
    """
    right_MNC = (seen.log_MNC + examination.correct_NC.log()).log_softmax(-1)
    entropy_MN: Tensor = torch.special.entr(right_MNC.exp()).sum(-1)
    return entropy_MN


def _floor(base: EvalOutputs, now: EvalOutputs, examination: EvalSet) -> Tensor:
    """The KL floor, the mean over images in nats: shape (M,). See `perdure.budget.law.floor`.

    It is the KL between right and wrong, and is taken from log-probabilities here, since a policy that is sure has a
    mass of right labels that single precision rounds to 1.
    """
    pairs_MN2 = [_right_and_wrong(seen.log_MNC, examination.correct_NC) for seen in (base, now)]
    models, images, _ = pairs_MN2[1].shape
    base_P2, now_P2 = pairs_MN2[0].expand(models, -1, -1).reshape(-1, 2), pairs_MN2[1].reshape(-1, 2)
    return kl_base_to_policy(base_P2, now_P2).view(models, images).mean(-1)


def _right_and_wrong(log_MNC: Tensor, correct_NC: Tensor) -> Tensor:
    """Log-probabilities of answering right and of answering wrong: shape (M, N, 2)."""
    blocks = [(log_MNC + mask_NC.log()).logsumexp(-1) for mask_NC in (correct_NC, 1 - correct_NC)]
    return torch.stack(blocks, dim=-1)


def _divergences(base: EvalOutputs, now: EvalOutputs) -> dict[str, Tensor]:
    """Means over images and quantiles over them, shape (M,) each; KL in nats."""
    models, images, classes = now.log_MNC.shape
    base_log_MNC = base.log_MNC.expand_as(now.log_MNC)
    found = divergences(base_log_MNC.reshape(-1, classes), now.log_MNC.reshape(-1, classes))
    named = {
        "kl_base_to_policy": found.kl_base_to_policy_N,
        "kl_policy_to_base": found.kl_policy_to_base_N,
        "total_variation": found.total_variation_N,
        "l2_distributions": found.l2_distributions_N,
        "jensen_shannon": found.jensen_shannon_N,
        "hellinger": found.hellinger_N,
    }
    kl_MN = found.kl_base_to_policy_N.view(models, images)
    return {
        **{name: values.view(models, images).mean(-1) for name, values in named.items()},
        "kl_base_to_policy_median": kl_MN.quantile(0.5, dim=-1),
        "kl_base_to_policy_q90": kl_MN.quantile(0.9, dim=-1),
    }


def _weights(base: Params, stacked: Params, fisher: Params) -> dict[str, Tensor]:
    moved = weight_change(base, stacked, fisher)
    assert moved.fisher_M is not None
    return {
        "weight_l1": moved.l1_M,
        "weight_l2": moved.l2_M,
        "weight_fisher": moved.fisher_M,
        "weight_spectral": moved.spectral_M,
        "update_sparsity": moved.sparsity_M,
        "update_rank": moved.rank_M,
    }


def _activations(base: EvalOutputs, now: EvalOutputs) -> dict[str, Tensor]:
    """Changes of the last hidden layer, on the first images; CKNNA as a change, 1 less the alignment."""
    base_ND, now_MND = base.units_MNH[0, :ACTIVATION_ITEMS], now.units_MNH[:, :ACTIVATION_ITEMS]
    moved = activation_change(base_ND, now_MND, neighbours=min(NEIGHBOURS, len(base_ND) - 1))
    return {"activation_l1": moved.l1_M, "activation_l2": moved.l2_M, "activation_cknna": 1 - moved.cknna_M}
