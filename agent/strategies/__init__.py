"""Strategies, which choose the method of a stage: one module each."""

from collections.abc import Callable
from typing import Any

from perdure.agent.strategies.bandit import Bandit
from perdure.agent.strategies.contract import Strategy
from perdure.agent.strategies.fixed import Fixed
from perdure.agent.strategies.probe import Probe
from perdure.agent.strategies.python import Python
from perdure.agent.strategies.race import Race
from perdure.agent.strategies.rule import RuleOfThumb
from perdure.curriculum.schema import Curriculum

STRATEGIES: dict[str, Callable[[Any], Strategy]] = {
    "fixed": Fixed,
    "rule": RuleOfThumb,
    "probe": Probe,
    "bandit": Bandit,
    "race": Race,
    "python": Python,
}
"""Strategies by `strategy.type`; each is made from its section of the curriculum."""


def make_strategy(curriculum: Curriculum) -> Strategy:
    """Make the strategy that a curriculum names.

    Raises:
        ConfigError: the user's own strategy cannot be found or made.
    """
    return STRATEGIES[curriculum.strategy.type](curriculum.strategy)
