"""The original base beside a policy that has moved away from it: as texts, as a loss, and as a model for a moment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from perdure.agent.language.base_loss import BaseLoss
from perdure.agent.language.base_texts import BaseTexts
from perdure.agent.language.policy import LanguagePolicy
from perdure.budget.config import Unit


class Base:
    """What an update may use of the base. `reload` gives its model afresh, where the weights themselves are trained."""

    def __init__(self, policy: LanguagePolicy, texts: BaseTexts, reload: Callable[[], Any]) -> None:
        self._policy, self.texts, self._reload = policy, texts, reload

    def loss(self, groups: Sequence[str], *, unit: Unit, num_texts: int, seed: int) -> BaseLoss:
        """KL(π0 ‖ π) with its gradient on texts of these groups."""
        return BaseLoss(self.texts, groups, unit=unit, num_texts=num_texts, seed=seed)

    @contextmanager
    def policy(self) -> Iterator[LanguagePolicy]:
        """The base itself, to be sampled or asked for log-probabilities, inside this context alone.

        With LoRA it is the policy's own model with the adapter off, so the policy must not be used inside. Otherwise it
        is a second copy, which is let go of after.
        """
        if self._policy.is_adapter:
            with self._policy.model.disable_adapter():
                yield self._policy
        else:
            yield LanguagePolicy(self._reload(), self._policy.tokenizer)
