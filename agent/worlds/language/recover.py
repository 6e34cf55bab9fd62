"""Recovery in the language world: texts of the base on general prompts (see `agent/worlds/distil.py`)."""

from collections.abc import Sequence

from perdure.agent.worlds.contract import Watch
from perdure.agent.worlds.distil import distil
from perdure.agent.worlds.language.base_loss import Base
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.config import RecoverConfig, Unit


def recover(
    policy: LanguagePolicy,
    groups: Sequence[str],
    unit: Unit,
    config: RecoverConfig,
    learning_rate: float,
    *,
    seed: int,
    watch: Watch,
) -> int:
    """See `World.recover`; the KL is exact over the vocabulary, in nats a `unit`."""
    base: Base = policy.base
    loss = base.loss(groups, unit=unit, num_texts=config.num_prompts, seed=seed)
    trained = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    return distil(trained, loss, config, learning_rate, watch)
