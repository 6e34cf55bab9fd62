"""KL(π0 ‖ π) as a loss: exact over the vocabulary, base first, with gradient, on a few texts of the base a step.

The estimate of `BaseTexts.measure`, on the same texts, in the same unit. Axes as there: R rows, one a position of a
completion; H hidden, V vocabulary.

Memory: the policy's activations on the texts of a step are held for the backward pass, as in any training step. Logits
are not: they are computed for a chunk of rows at a time, and again in the backward pass (`torch.utils.checkpoint`), so
that only one chunk's are held at once, whatever the vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from perdure.agent.worlds.base_prompts import draw_texts
from perdure.agent.worlds.language.base_texts import BaseTexts, forward
from perdure.agent.worlds.language.texts import Texts, joined
from perdure.agent.worlds.terms import row_weights
from perdure.budget.config import Unit
from perdure.budget.divergence import kl_base_to_policy


class BaseLoss:
    """The KL on `num_texts` texts a step, from several groups in equal parts.

    The texts of a step follow from seed and step alone. The policy is in evaluation mode, as for a measurement: no
    dropout, and nothing drawn from the global generators.
    """

    def __init__(self, base: BaseTexts, groups: Sequence[str], *, unit: Unit, num_texts: int, seed: int) -> None:
        self._base, self._groups, self._unit = base, tuple(groups), unit
        self._num_texts, self._seed = num_texts, seed

    def backward(self, step: int, weight: float, backward: Callable[[Tensor], None]) -> Tensor:
        """Add the gradient of `weight` · KL at `step`, by calls of `backward`; at a weight of 0 there is none.

        Returns the KL itself in nats a `unit`, a detached scalar.
        """
        texts, coefficients_R = self._draw(step)
        total = torch.zeros((), device=self._base.policy.model.device)
        with self._base.policy.inference_mode(), torch.set_grad_enabled(weight > 0):
            for hidden_RH, rows in forward(self._base.policy, texts, plain=bool(self._base.head)):
                kl_R = self._loss_of(texts, rows, hidden_RH)
                part = (kl_R * coefficients_R[rows].to(kl_R.device)).sum()
                if weight > 0:
                    backward(weight * part)
                total += part.detach().to(total.device)
        return total

    def _draw(self, step: int) -> tuple[Texts, Tensor]:
        """The texts of a step, and the weight of each of their rows."""
        chosen = draw_texts(
            {name: len(self._base.texts[name].ids_ST) for name in self._groups},
            count=self._num_texts,
            seed=self._seed,
            step=step,
        )
        parts = [self._base.texts[name].take(indices) for name, indices in chosen.items()]
        return joined(parts), row_weights([part.rows_S for part in parts], self._unit)

    def _loss_of(self, texts: Texts, rows: slice, policy_RH: Tensor) -> Tensor:
        """Forward KL of every row."""
        return by_chunk(self._kl_of_chunk, self._base.chunk_rows, texts.hidden_RH[rows].to(policy_RH.device), policy_RH)

    def _kl_of_chunk(self, base_CH: Tensor, policy_CH: Tensor) -> Tensor:
        return kl_base_to_policy(*self._base.both_logits(base_CH, policy_CH))


class OwnTextsLoss(BaseLoss):
    """The negative log-likelihood of the base's own texts in place of the KL, drawn and weighed as there."""

    def _loss_of(self, texts: Texts, rows: slice, policy_RH: Tensor) -> Tensor:
        """The negative log-likelihood of the token that the base wrote at every row."""
        chosen_R = texts.completions_R[rows].to(policy_RH.device)
        return by_chunk(self._surprise_of_chunk, self._base.chunk_rows, chosen_R, policy_RH)

    def _surprise_of_chunk(self, chosen_C: Tensor, policy_CH: Tensor) -> Tensor:
        log_CV = self._base.policy_logits(policy_CH).float().log_softmax(-1)
        return -log_CV.gather(-1, chosen_C.to(log_CV.device)[:, None])[:, 0]


def by_chunk(function: Callable[[Tensor, Tensor], Tensor], chunk: int, first_R: Tensor, second_R: Tensor) -> Tensor:
    """A function of rows, a chunk at a time; a chunk's logits are computed again in the backward pass."""
    parts = [
        checkpoint(
            function,
            first_R[start : start + chunk],
            second_R[start : start + chunk],
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for start in range(0, len(first_R), chunk)
    ]
    return torch.cat(parts)


@dataclass(frozen=True)
class Base:
    """The original base beside a policy that has moved away from it: as texts, and as a loss."""

    texts: BaseTexts

    def loss(self, groups: Sequence[str], *, unit: Unit, num_texts: int, seed: int) -> BaseLoss:
        """KL(π0 ‖ π) with its gradient on texts of these groups."""
        return BaseLoss(self.texts, groups, unit=unit, num_texts=num_texts, seed=seed)

    def own_texts(self, groups: Sequence[str], *, num_texts: int, seed: int) -> OwnTextsLoss:
        """The negative log-likelihood a token of texts of these groups, with its gradient."""
        return OwnTextsLoss(self.texts, groups, unit="token", num_texts=num_texts, seed=seed)
