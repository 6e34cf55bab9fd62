"""Which methods a stage may come to use, as far as the file alone can tell."""

from perdure.curriculum.schema import Curriculum, FixedStrategy, Stage
from perdure.curriculum.train import METHODS, Method


def methods_of(curriculum: Curriculum, stage: Stage) -> tuple[Method, ...]:
    """The stage's own method, the fixed strategy's, or every method of this world that the task can feed."""
    if stage.method is not None:
        return (stage.method,)
    if isinstance(curriculum.strategy, FixedStrategy):
        return (curriculum.strategy.method,)
    return tuple(method for method in METHODS[curriculum.world] if _feeds(stage, method))


def _feeds(stage: Stage, method: Method) -> bool:
    try:
        stage.task.check_method(method)
    except ValueError:
        return False
    return True
