"""How the method of a stage is chosen: one module a strategy."""

from collections.abc import Callable
from typing import Any

from perdure.agent.strategies.bandit import Bandit
from perdure.agent.strategies.contract import Strategy
from perdure.agent.strategies.fixed import Fixed
from perdure.agent.strategies.probe import Probe
from perdure.agent.strategies.python import Python
from perdure.agent.strategies.rule import Rule
from perdure.curriculum.schema import Curriculum

STRATEGIES: dict[str, Callable[[Any], Strategy]] = {
    "fixed": Fixed,
    "rule": Rule,
    "probe": Probe,
    "bandit": Bandit,
    "python": Python,
}
"""By `strategy.type`; each is made of its section of the curriculum."""


def make_strategy(curriculum: Curriculum) -> Strategy:
    """The strategy that a curriculum names.

    Raises:
        ConfigError: one of the user's own that cannot be found or made.
    """
    return STRATEGIES[curriculum.strategy.type](curriculum.strategy)
