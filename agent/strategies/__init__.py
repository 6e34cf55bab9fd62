"""How the method of a stage is chosen: one module a strategy."""

from perdure.agent.strategies import auto
from perdure.agent.strategies.contract import Decision
from perdure.budget.monitor import Reading
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import AutoStrategy, Curriculum, Stage
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for

__all__ = ["Decision", "choose"]


def choose(curriculum: Curriculum, stage: Stage, task: Task, policy: Policy, entry: Reading, seed: int) -> Decision:
    """The stage's own method if it names one, else what the curriculum's strategy says."""
    if stage.method is not None:
        return Decision(stage.method, "the stage names it")
    strategy = curriculum.strategy
    if isinstance(strategy, AutoStrategy):
        length = settings_for("rl", curriculum.train, stage.train).model_dump()["max_completion_length"]
        evaluation = curriculum.evaluation
        if length is not None:
            evaluation = evaluation.model_copy(update={"max_completion_length": length})
        return auto.choose(strategy, task, policy, entry, evaluation, seed)
    return Decision(strategy.method, "the strategy is fixed")
