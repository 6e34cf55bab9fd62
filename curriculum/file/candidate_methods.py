"""Which methods a stage may come to use, as far as the file alone can tell."""

from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.strategies import CANDIDATES, RULES, FixedStrategy, PythonStrategy, RuleStrategy
from perdure.curriculum.worlds.contract import METHODS, Method


def methods_of(curriculum: Curriculum, stage: Stage) -> tuple[Method, ...]:
    """The stage's own method, or those among which the strategy may choose and that the task can feed."""
    if stage.method is not None:
        return (stage.method,)
    return tuple(method for method in strategy_methods(curriculum) if stage.task.refusal(method) is None)


def strategy_methods(curriculum: Curriculum) -> tuple[Method, ...]:
    """The methods among which the strategy chooses, in the order of the world's list or of its `candidates`.

    Not `lora` where the policy is an adapter already.
    """
    strategy, world = curriculum.strategy, METHODS[curriculum.world]
    if getattr(curriculum.model, "lora", None) is not None:
        world = tuple(method for method in world if method != "lora")
    if isinstance(strategy, FixedStrategy):
        return (strategy.method,)
    if isinstance(strategy, RuleStrategy):
        return RULES
    if isinstance(strategy, PythonStrategy):
        return tuple(strategy.candidates or world)
    return tuple(strategy.candidates or (method for method in CANDIDATES if method in world))
