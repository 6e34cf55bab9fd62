"""`fixed`: one method for every stage that names none itself."""

from perdure.agent.strategies.contract import Decision, Situation
from perdure.curriculum.strategies import FixedStrategy


class Fixed:
    """Chooses the same method for every stage."""

    def __init__(self, config: FixedStrategy) -> None:
        self._config = config

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy`."""
        return Decision(self._config.method, "the strategy is fixed")
