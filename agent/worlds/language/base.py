"""The original base beside a policy that has moved away from it: as texts, and as a loss."""

from collections.abc import Sequence
from dataclasses import dataclass

from perdure.agent.worlds.language.base_loss import BaseLoss
from perdure.agent.worlds.language.base_texts import BaseTexts
from perdure.budget.config import Unit


@dataclass(frozen=True)
class Base:
    """What an update may use of the base."""

    texts: BaseTexts

    def loss(self, groups: Sequence[str], *, unit: Unit, num_texts: int, seed: int) -> BaseLoss:
        """KL(π0 ‖ π) with its gradient on texts of these groups."""
        return BaseLoss(self.texts, groups, unit=unit, num_texts=num_texts, seed=seed)
